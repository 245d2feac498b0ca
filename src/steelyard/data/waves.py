"""Wav files: what their header says, their samples as numbers, and back. Needs numpy alone.

Read are PCM of 8, 16, 24 and 32 bits, floats of 32 and 64 bits, and A-law and mu-law of 8 bits, plain or as
``WAVE_FORMAT_EXTENSIBLE``, of any number of channels. The rules for what is odd:

* Channels are averaged to one.
* A header that names more samples than there are (a file cut off, or written to a pipe) is not believed: what is there
  is read, and :attr:`Header.missing` says how much is not.
* Of a recording longer than was asked for, its middle is read; the rest is not even decoded.
* A file of more than 256 MB is refused.
* Samples that are no number, or far beyond full scale, and a recording without a sample, are refused.

References
----------
.. [1] IBM, Microsoft: Multimedia Programming Interface and Data Specifications 1.0, 1991 (RIFF and WAVE).
.. [2] ITU-T: Recommendation G.711, Pulse code modulation (PCM) of voice frequencies, 1988.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats

PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE
SLOWEST, FASTEST = 4_000, 192_000
"""Samples a second that a recording may have."""
MOST_CHANNELS = 64
LARGEST = 2**28
"""Bytes of a file that are read at most: 256 MB, or 25 minutes of a CD in stereo."""
LOUDEST = 1e4
"""Times full scale that a sample of a float file may reach; beyond, the file holds something else."""
_BITS = {PCM: (8, 16, 24, 32), FLOAT: (32, 64), A_LAW: (8,), MU_LAW: (8,)}
_NAMES = {0x0002: "ADPCM", 0x0011: "IMA ADPCM", 0x0031: "GSM 6.10", 0x0050: "MPEG", 0x0055: "MP3", 0x00FF: "AAC"}
_GUID = bytes.fromhex("000000001000800000aa00389b71")
"""What follows the format in the sub-format of an extensible header."""
_OTHERS = {
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    b"FORM": "AIFF",
    b"RIFX": "big-endian RIFX",
    b"RF64": "RF64, for files of more than 4 GB",
    b"BW64": "BW64, for files of more than 4 GB",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a wav file says of itself, and where its samples lie."""

    format: int
    bits: int
    channels: int
    rate: int
    """Samples a second."""
    start: int
    """Of the samples, in bytes."""
    frames: int
    """Samples of each channel that are there."""
    missing: int = 0
    """Samples of each channel that the header names beyond those."""

    @property
    def width(self) -> int:
        """Bytes of one frame, a sample of every channel."""
        return self.channels * self.bits // 8

    @property
    def seconds(self) -> float:
        """How long the recording is."""
        return self.frames / self.rate


def look(content: bytes) -> Header:
    """Return what a wav file says of itself, without reading its samples.

    Raises
    ------
    ValueError
        If it is none, or of a form that is not read here; the message says which and what to do.

    Examples
    --------
    >>> look(encode(np.zeros(80), 8000)).seconds
    0.01
    """
    if not content:
        raise ValueError("the file is empty (0 bytes)")
    if len(content) > LARGEST:
        raise ValueError(f"the file has {len(content):,} bytes; the most is {LARGEST:,}: cut the recording into parts")
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        other = next((name for start, name in _OTHERS.items() if content.startswith(start)), None)
        what = f"is {other}, not wav" if other else "is no wav file"
        raise ValueError(f"the sound {what}; convert it to wav (16-bit PCM)")
    said: tuple[int, int, int, int] | None = None
    for name, start, size in _chunks(content):
        if name == b"fmt ":
            said = _format(content[start : start + size])
        elif name == b"data":
            if said is None:
                raise ValueError("the wav file holds samples before it says what they are; write it again")
            return _header(said, start, size, len(content))
    raise ValueError("the wav file holds no samples: it ends after its header; write it again")


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and said size of each chunk; odd ones are padded by a byte."""
    place = 12
    while place + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, place)
        yield name, place + 8, size
        place += 8 + size + size % 2


def _format(chunk: bytes) -> tuple[int, int, int, int]:
    """Return format, bits, channels and rate."""
    if len(chunk) < 16:
        raise ValueError("the wav file has a header that is cut off; write it again")
    form, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if form == EXTENSIBLE:
        if len(chunk) < 40 or chunk[26:40] != _GUID:
            raise ValueError("the wav file is of an extensible format that is not known here; save it as 16-bit PCM")
        (form,) = struct.unpack_from("<H", chunk, 24)
    if form not in _BITS:
        name = _NAMES.get(form, "unknown")
        raise ValueError(f"the wav file is compressed (format {form}, {name}); save it as 16-bit PCM")
    if bits not in _BITS[form]:
        raise ValueError(f"the wav file has samples of {bits} bits in format {form}; save it as 16-bit PCM")
    if not 1 <= channels <= MOST_CHANNELS:
        raise ValueError(f"the wav file says that it has {channels} channels; write it again with 1 to {MOST_CHANNELS}")
    if not SLOWEST <= rate <= FASTEST:
        raise ValueError(
            f"the wav file says that it has {rate:,} samples a second; {SLOWEST:,} to {FASTEST:,} are read here"
        )
    return form, bits, channels, rate


def _header(said: tuple[int, int, int, int], start: int, size: int, end: int) -> Header:
    form, bits, channels, rate = said
    width, there = channels * bits // 8, end - start
    streamed = size == 0xFFFFFFFF or (size == 0 and there > 0)  # the length was not known when the header was written
    size = there if streamed else size
    frames, named = min(size, there) // width, size // width
    if not frames:
        raise ValueError("the wav file holds no samples; record it again")
    return Header(
        format=form, bits=bits, channels=channels, rate=rate, start=start, frames=frames, missing=named - frames
    )


def decode(content: bytes, *, most: float | None = None) -> tuple[Floats, int]:
    """Return the samples of a wav file, full scale at 1, its channels averaged; and how many there are a second.

    Parameters
    ----------
    content
        The file.
    most
        Seconds to read at most: of a longer recording its middle; ``None`` reads all of it.

    Raises
    ------
    ValueError
        As :func:`look`, and if a sample is no finite number or is far beyond full scale.

    Examples
    --------
    >>> samples, rate = decode(encode(np.array([0.0, 0.5, -1.0]), 16000))
    >>> samples.round(3).tolist(), rate
    ([0.0, 0.5, -1.0], 16000)
    """
    header = look(content)
    first, count = 0, header.frames
    if most is not None and header.seconds > most:
        count = max(1, round(most * header.rate))
        first = (header.frames - count) // 2
    start = header.start + first * header.width
    samples = _numbers(content[start : start + count * header.width], header).reshape(count, header.channels)
    if header.format == FLOAT:
        _check(samples)
    return np.ascontiguousarray(samples[:, 0]) if header.channels == 1 else samples.mean(axis=1), header.rate


def _numbers(raw: bytes, header: Header) -> Floats:
    """Return the samples of all channels one after the other, full scale at 1."""
    if header.format == FLOAT:
        return np.frombuffer(raw, f"<f{header.bits // 8}").astype(np.float64)
    if header.format in (A_LAW, MU_LAW):
        table: Floats = (_A_LAW if header.format == A_LAW else _MU_LAW)[np.frombuffer(raw, np.uint8)]
        return table
    match header.bits:
        case 8:
            return np.asarray((np.frombuffer(raw, np.uint8).astype(np.float64) - 128) / 2**7)
        case 24:
            table = np.zeros((len(raw) // 3, 4), np.uint8)
            table[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
            return np.asarray(table.view("<i4")[:, 0] / 2**31)
    return np.asarray(np.frombuffer(raw, f"<i{header.bits // 8}") / 2 ** (header.bits - 1))


def _check(samples: Floats) -> None:
    if not np.isfinite(samples).all():
        bad = int((~np.isfinite(samples)).sum())
        raise ValueError(f"the wav file holds {bad:,} samples that are no number (NaN or infinite); write it again")
    if (peak := float(np.abs(samples).max())) > LOUDEST:
        raise ValueError(
            f"the wav file holds samples up to {peak:.3g}, where full scale is 1; divide them before they are written"
        )


def _a_law() -> Floats:
    """Return the value of each of the 256 codes of A-law."""
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    size = np.where(exponent == 0, 16 * mantissa + 8, (16 * mantissa + 264) << np.maximum(exponent - 1, 0))
    return np.asarray(np.where(code & 0x80, size, -size) / 2**15)


def _mu_law() -> Floats:
    """Return the value of each of the 256 codes of mu-law."""
    code = 255 - np.arange(256)
    size = (((code & 15) << 3) + 132 << ((code >> 4) & 7)) - 132
    return np.asarray(np.where(code & 0x80, -size, size) / 2**15)


_A_LAW, _MU_LAW = _a_law(), _mu_law()


def encode(samples: NDArray[np.floating], rate: int) -> bytes:
    """Return a wav file of 16-bit PCM, one channel; what is beyond full scale is cut off there.

    Examples
    --------
    >>> len(encode(np.zeros(100), 8000))
    244
    """
    raw = np.clip(np.round(np.asarray(samples, np.float64) * 2**15), -(2**15), 2**15 - 1).astype("<i2").tobytes()
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, PCM, 1, rate, 2 * rate, 2, 16)
    body = b"WAVE" + head + struct.pack("<4sI", b"data", len(raw)) + raw
    return struct.pack("<4sI", b"RIFF", len(body)) + body
