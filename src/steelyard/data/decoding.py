"""What an image file may hold: one rule for each way in which it may be odd, the same in training and in serving.

=======================================  ==============================================================================
what comes                               what becomes of it
=======================================  ==============================================================================
no bytes, no image, another format       refused; formats that run programs (EPS) are never tried
cut off or damaged                       refused, however little is missing; damaged EXIF alone counts as none
more than 67 million pixels              refused before it is decoded
one pixel, or a line of them             taken, and resized like any other
turned by EXIF                           turned upright
several frames or pages                  the first one
CMYK, YCbCr, LAB, 1 bit, palette         brought to red, green and blue, or to grey
transparent in any way                   laid on white
16 bits a channel                        the upper 8 of them
floating-point pixels                    refused: they have no agreed range
=======================================  ==============================================================================
"""

from __future__ import annotations

import struct
import zlib
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
"""What is looked for in a file. Pillow knows more; some of those call programs, some take anything for theirs."""
MOST_PIXELS = 2**26
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF orientation, what turns the image upright."""
_DAMAGE = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, TypeError),
    *(ValueError, struct.error, zlib.error),
)
"""What Pillow's readers raise at bytes that are not what their header says."""


@cache
def _formats() -> tuple[str, ...]:
    """Return the formats that this Pillow was built with; an unknown name would be an error in every file."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def decoded(file: BytesIO | str, shown: str, *, least: int | None = None) -> Image.Image:
    """Return the first frame of an image file, decoded.

    Parameters
    ----------
    file
        A path, or the bytes.
    shown
        What the message calls it.
    least
        A JPEG may be decoded at a half, a quarter or an eighth of its size, as long as both of its sides keep this
        many pixels; unset: at its own size.

    Raises
    ------
    ValueError
        If it cannot be read; the message says why.
    """
    try:
        image = Image.open(file, formats=_formats())
    except FileNotFoundError:
        raise ValueError(f"there is no image file {shown}") from None
    except UnidentifiedImageError:
        raise ValueError(f"{shown} is not an image that Pillow can read") from None
    except Image.DecompressionBombError:
        raise ValueError(_too_large(shown)) from None
    except _DAMAGE as problem:
        raise ValueError(f"{shown} cannot be decoded: {problem}") from None
    if image.width * image.height > MOST_PIXELS:
        image.close()
        raise ValueError(_too_large(shown))
    if least is not None and image.format == "JPEG":
        image.draft(None, (least, least))
    return loaded(image, shown)


def _too_large(shown: str) -> str:
    return f"{shown} unpacks to more than {MOST_PIXELS / 1e6:.0f} million pixels; make it smaller"


def loaded(image: Image.Image, shown: str) -> Image.Image:
    """Return an opened image with its pixels read.

    Raises
    ------
    ValueError
        If they cannot be decoded.
    """
    try:
        image.load()
    except _DAMAGE as problem:
        raise ValueError(f"{shown} cannot be decoded: {problem}") from None
    return image


def flat(image: Image.Image) -> Image.Image:
    """Return a decoded image upright, without transparency and with 8 bits a channel; its colours are left as they are.

    Raises
    ------
    ValueError
        If its pixels are floating-point numbers.
    """
    image = _upright(image)
    if image.mode in _SIXTEEN_BITS:
        # Pillow clips 16 bits at 255 where the upper byte is meant.
        return Image.fromarray((np.clip(np.asarray(image), 0, 65535) >> 8).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("images of floating-point numbers have no agreed range; save the image with 8 or 16 bits")
    if not image.has_transparency_data:
        return image
    seen = image.convert("RGBA")
    white = Image.new("RGBA", seen.size, "white")
    laid = Image.alpha_composite(white, seen)
    return laid.convert("L" if image.mode in ("L", "LA", "La") else "RGB")


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except _DAMAGE:
        return image
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def checked(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return an array as an image of shape (height, width) or (height, width, 3 or 4), uint8.

    Raises
    ------
    ValueError
        If it has no shape or type of an image.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    plane = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in {3, 4})
    if array.dtype != np.uint8 or not plane or 0 in array.shape:
        raise ValueError(
            "an image array must be uint8 or uint16 of shape (height, width) or (height, width, 1, 3 or 4); "
            f"got {array.dtype} of shape {array.shape}"
        )
    return np.ascontiguousarray(array)
