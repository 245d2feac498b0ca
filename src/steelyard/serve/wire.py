"""Cells that came over a wire: what a client may put into a column, whatever the protocol."""

from __future__ import annotations

import base64
import binascii
import io

from PIL import Image, UnidentifiedImageError

from steelyard.contracts import Kind
from steelyard.data.waves import look
from steelyard.serve.faults import unfit

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""Others run programs or have known flaws (EPS, PSD, FLI), and nobody sends them to be classified."""
_MOST_PIXELS = 2**25


def from_base64(text: str, name: str) -> bytes:
    """Return the bytes that are written in base64.

    Raises
    ------
    Fault
        If they are not; the sentence names the column.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise unfit(f"column {name!r} is not valid base64; encode the bytes of the file") from None


def checked_image(content: bytes, name: str) -> bytes:
    """Return the bytes of an image file, whose format and size were looked at without decoding it.

    Only bytes are ever handed on: a string would be taken for a path on this machine.

    Raises
    ------
    Fault
        If it is no image of a known format, or unpacks to too many pixels.
    """
    try:
        width, height = Image.open(io.BytesIO(content), formats=_FORMATS).size
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError, EOFError):
        raise unfit(f"column {name!r} holds no image that can be read; send {', '.join(_FORMATS)}") from None
    if width * height > _MOST_PIXELS:
        raise unfit(f"column {name!r} holds an image of {width} x {height} pixels; make it smaller than 32 megapixels")
    return content


def checked_sound(content: bytes, name: str) -> bytes:
    """Return the bytes of a wav file, whose header was looked at without reading its samples.

    Only bytes are ever handed on, as of images.

    Raises
    ------
    Fault
        If it is no wav file that can be read.
    """
    try:
        look(content)
    except ValueError as problem:
        raise unfit(f"column {name!r}: {problem}") from None
    return content


FILES = {Kind.IMAGE: checked_image, Kind.AUDIO: checked_sound}
"""Kinds whose cells are the bytes of files, and what looks at them before they are handed on."""
