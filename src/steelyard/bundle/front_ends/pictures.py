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
from PIL import Image

from steelyard.data.decoding import checked, decoded, flat, loaded
from steelyard.errors import nearest

_BETWEEN = "::"
_SHOWN = 80
_LARGEST_MEMBER = 2**28


class Opener:
    """Opens what a cell of an IMAGE column may hold; keeps each zip open until it is left.

    A cell is a path, ``archive.zip::member``, the bytes of an image file, an array (height, width) or
    (height, width, 1, 3 or 4) of uint8 or uint16, or a Pillow image. What else may be odd about one, and what becomes
    of it, stands in :mod:`steelyard.data.decoding`.

    Parameters
    ----------
    least
        Pixels that both sides of a JPEG need to keep where it is decoded smaller, which is quicker; unset: all.
    """

    def __init__(self, least: int | None = None) -> None:
        self._least = least
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
        if isinstance(source, np.ndarray):
            return source
        if isinstance(source, Image.Image):
            return loaded(source, "the picture")
        if source is None or source == "":
            raise ValueError("the image is missing; drop the row or give its file")
        if isinstance(source, bytes | bytearray | memoryview):
            return decoded(BytesIO(source), "the bytes", least=self._least)
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
            file = BytesIO(self._unpacked(archive, member)) if between else place
            return decoded(file, shown, least=self._least)
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


def pixels(source: Image.Image | NDArray[Any], height: int, width: int, channels: Literal[1, 3]) -> NDArray[np.uint8]:
    """Return an image as uint8 of shape (channels, height, width).

    It is turned upright (EXIF), laid on white where transparent, brought to 8 bits, to grey or to red, green and
    blue (:func:`steelyard.data.decoding.flat`), and resized with a bilinear filter that averages when it shrinks.

    Raises
    ------
    ValueError
        If an array has no shape or type of an image, or pixels are floating-point numbers.

    Examples
    --------
    >>> pixels(np.full((4, 4), 7, np.uint8), 2, 2, 1).tolist()
    [[[7, 7], [7, 7]]]
    """
    if isinstance(source, np.ndarray):
        source = checked(source)
        if source.shape == ((height, width) if channels == 1 else (height, width, channels)):
            return source[None] if channels == 1 else source.transpose(2, 0, 1)
        source = Image.fromarray(source)
    image = flat(source).convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    table = np.asarray(image)
    return table[None] if channels == 1 else table.transpose(2, 0, 1)
