"""From whatever a sound is given as to samples at one rate."""

from __future__ import annotations

import zipfile
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self

from steelyard.bundle.front_ends.mel import resampled
from steelyard.contracts import Floats
from steelyard.data.waves import LARGEST, decode
from steelyard.errors import nearest

_BETWEEN = "::"
_SHOWN = 80


class Listener:
    """Reads what a cell of an AUDIO column may hold; keeps each zip open until it is left.

    A cell is a path, ``archive.zip::member``, or the bytes of a wav file.
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

    def content(self, source: object) -> bytes:
        """Return the bytes of a file.

        Raises
        ------
        ValueError
            If they cannot be read; the message says why.
        """
        if source is None or (isinstance(source, str) and not source):
            raise ValueError("the sound is missing; drop the row or give its file")
        if isinstance(source, bytes | bytearray | memoryview):
            return bytes(source)
        if not isinstance(source, str | PathLike):
            raise ValueError(  # noqa: TRY004 - to whoever asks, a cell is refused like any other
                f"a sound must be a path, archive.zip::member or the bytes of a wav file; got {type(source).__name__}"
            )
        place = str(source)
        archive, between, member = place.partition(_BETWEEN)
        return self._unpacked(archive, member, place) if between else _read(place)

    def samples(self, source: object, rate: int, most: float) -> Floats:
        """Return the samples of a sound at a rate: of one longer than ``most`` seconds its middle.

        Raises
        ------
        ValueError
            If it cannot be read; the message says why.
        """
        content = self.content(source)
        try:
            samples, own = decode(content, most=most)
        except ValueError as problem:
            named = "" if isinstance(source, bytes | bytearray | memoryview) else f"{_shown(str(source))}: "
            raise ValueError(f"{named}{problem}") from None
        return resampled(samples, own, rate)

    def _unpacked(self, archive: str, member: str, place: str) -> bytes:
        try:
            if archive not in self._archives:
                self._archives[archive] = self._stack.enter_context(zipfile.ZipFile(archive))
            opened = self._archives[archive]
            _check_size(opened.getinfo(member).file_size, place)
            return opened.read(member)
        except KeyError:
            raise ValueError(
                f"{archive!r} holds no {member!r}{nearest(member, self._archives[archive].namelist())}"
            ) from None
        except OSError as problem:
            raise ValueError(f"archive {archive!r} cannot be opened: {problem.strerror}") from None
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as problem:
            raise ValueError(f"{_shown(place)} cannot be read from its archive: {problem}") from None


def _read(place: str) -> bytes:
    path = Path(place)
    try:
        _check_size(path.stat().st_size, place)
        return path.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"there is no sound file {_shown(place)}") from None
    except OSError as problem:
        raise ValueError(f"{_shown(place)} cannot be read: {problem.strerror}") from None


def _check_size(size: int, place: str) -> None:
    if size > LARGEST:
        raise ValueError(f"{_shown(place)} has {size:,} bytes; the most is {LARGEST:,}: cut the recording into parts")


def _shown(place: str) -> str:
    return repr(place if len(place) <= _SHOWN else f"...{place[-_SHOWN:]}")
