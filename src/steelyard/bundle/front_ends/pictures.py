"""From whatever an image is given as to pixels of one size, by Pillow."""

from __future__ import annotations

import zipfile
from contextlib import ExitStack
from io import BytesIO
from os import PathLike
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from steelyard.errors import nearest

_BETWEEN = "::"
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_SHOWN = 80
_LARGEST_MEMBER = 2**28


class Opener:
    """Opens what a cell of an IMAGE column may hold; keeps each zip open until it is left.

    A cell is a path, ``archive.zip::member``, the bytes of an image file, an array (height, width) or
    (height, width, 1, 3 or 4) of uint8 or uint16, or a Pillow image.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._archives: dict[str, zipfile.ZipFile] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def __call__(self, source: object) -> Image.Image | NDArray[Any]:
        """Return the image, decoded.

        Raises
        ------
        ValueError
            If it cannot be read; the message says why.
        """
        if isinstance(source, np.ndarray | Image.Image):
            return source
        if source is None or source == "":
            raise ValueError("the image is missing; drop the row or give its file")
        if isinstance(source, bytes | bytearray | memoryview):
            return _decoded(BytesIO(source), "the bytes")
        if isinstance(source, str | PathLike):
            return self._at(str(source))
        raise ValueError(
            f"an image must be a path, archive.zip::member, bytes, an array or a Pillow image; "
            f"got {type(source).__name__}"
        )

    def _at(self, place: str) -> Image.Image:
        archive, between, member = place.partition(_BETWEEN)
        shown = repr(place if len(place) <= _SHOWN else f"...{place[-_SHOWN:]}")
        try:
            return _decoded(BytesIO(self._unpacked(archive, member)) if between else place, shown)
        except KeyError:
            raise ValueError(
                f"{archive!r} holds no {member!r}{nearest(member, self._open(archive).namelist())}"
            ) from None
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as problem:
            raise ValueError(f"{shown} cannot be read from its archive: {problem}") from None

    def _unpacked(self, archive: str, member: str) -> bytes:
        size = self._open(archive).getinfo(member).file_size
        if size > _LARGEST_MEMBER:
            raise ValueError(f"{member!r} unpacks to {size:,} bytes; the most is {_LARGEST_MEMBER:,}")
        return self._open(archive).read(member)

    def _open(self, archive: str) -> zipfile.ZipFile:
        if archive not in self._archives:
            try:
                self._archives[archive] = self._stack.enter_context(zipfile.ZipFile(archive))
            except OSError as problem:
                raise ValueError(f"archive {archive!r} cannot be opened: {problem.strerror}") from None
        return self._archives[archive]


def _decoded(file: BytesIO | str, shown: str) -> Image.Image:
    try:
        image = Image.open(file)
        image.load()
    except FileNotFoundError:
        raise ValueError(f"there is no image file {shown}") from None
    except UnidentifiedImageError:
        raise ValueError(f"{shown} is not an image that Pillow can read") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{shown} unpacks to an absurd number of pixels; make it smaller") from None
    except (OSError, SyntaxError, ValueError, EOFError) as problem:
        raise ValueError(f"{shown} cannot be decoded: {problem}") from None
    return image


def pixels(source: Image.Image | NDArray[Any], height: int, width: int, channels: Literal[1, 3]) -> NDArray[np.uint8]:
    """Return an image as uint8 of shape (channels, height, width).

    It is turned upright (EXIF), laid on white where transparent, brought to 8 bits, to grey or to red, green and
    blue, and resized with a bilinear filter that averages when it shrinks.

    Raises
    ------
    ValueError
        If an array has no shape or type of an image.

    Examples
    --------
    >>> pixels(np.full((4, 4), 7, np.uint8), 2, 2, 1).tolist()
    [[[7, 7], [7, 7]]]
    """
    if isinstance(source, np.ndarray):
        source = _checked(source)
        if source.shape == ((height, width) if channels == 1 else (height, width, channels)):
            return source[None] if channels == 1 else source.transpose(2, 0, 1)
        source = Image.fromarray(source)
    image = _flat(ImageOps.exif_transpose(source)).convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    table = np.asarray(image)
    return table[None] if channels == 1 else table.transpose(2, 0, 1)


def _checked(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    flat = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in {3, 4})
    if array.dtype != np.uint8 or not flat or 0 in array.shape:
        raise ValueError(
            "an image array must be uint8 or uint16 of shape (height, width) or (height, width, 1, 3 or 4); "
            f"got {array.dtype} of shape {array.shape}"
        )
    return np.ascontiguousarray(array)


def _flat(image: Image.Image) -> Image.Image:
    """Return the image without transparency and with 8 bits a channel."""
    if image.mode in _SIXTEEN_BITS:
        # Pillow clips 16 bits at 255 where the upper byte is meant.
        return Image.fromarray((np.clip(np.asarray(image), 0, 65535) >> 8).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("images of floating-point numbers have no agreed range; save the image with 8 or 16 bits")
    if not image.has_transparency_data:
        return image
    seen = image.convert("RGBA")
    white = Image.new("RGBA", seen.size, "white")
    return Image.alpha_composite(white, seen)
