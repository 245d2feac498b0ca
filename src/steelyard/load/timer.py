"""A timer that keeps fractions of a millisecond, which the timers of event loops round away (Linux: timerfd)."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable

_MONOTONIC, _ABSOLUTE = 1, 1
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC


class _Moment(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Moment), ("value", _Moment))


class Timer:
    """Calls back at moments of the monotonic clock (:func:`time.monotonic`, seconds), one at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._loop = loop
        self.ring: Callable[[], None] | None = None
        self._file: int = self._libc.timerfd_create(_MONOTONIC, _FLAGS)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "no timer can be made")
        loop.add_reader(self._file, self._fire)

    def set(self, moment: float) -> None:
        """Ring at ``moment``; at once where it has passed."""
        whole = int(moment)
        setting = _Setting(_Moment(0, 0), _Moment(whole, max(1, int((moment - whole) * 1e9))))
        self._libc.timerfd_settime(self._file, _ABSOLUTE, ctypes.byref(setting), None)

    def close(self) -> None:
        """Ring no more."""
        self._loop.remove_reader(self._file)
        os.close(self._file)

    def _fire(self) -> None:
        try:
            os.read(self._file, 8)
        except BlockingIOError:  # it was set anew meanwhile
            return
        if self.ring is not None:
            self.ring()
