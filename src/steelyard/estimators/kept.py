"""What a fitted estimator keeps: an opened bundle, and where it lies."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

from steelyard.bundle import Bundle, disk, load
from steelyard.bundle.opening import read


class Home:
    """A folder among the temporary ones that goes when this object goes, in the process that made it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="steelyard-"))
        self.clear = weakref.finalize(self, _remove, self.path, os.getpid())


def _remove(folder: Path, maker: int) -> None:
    if os.getpid() == maker:  # a forked process has a copy of the object, and the folder is not its own
        shutil.rmtree(folder, ignore_errors=True)


class Kept:
    """A bundle that travels: a pickle or a copy of it holds the files, and opens them when it is first asked.

    Parameters
    ----------
    folder : Path
        Where the bundle lies.
    home : Home, optional
        The temporary folder around it, where it lies in one; held as long as the bundle is.
    """

    def __init__(self, folder: Path, home: Home | None = None) -> None:
        self._home, self._files = home, dict[str, bytes]()
        self._bundle: Bundle | None = load(folder)

    @property
    def bundle(self) -> Bundle:
        """The bundle, opened.

        Raises
        ------
        BundleRefused
            If the files of a pickle are not what their manifest says.
        """
        if self._bundle is None:
            home = Home()
            disk.write(home.path / "bundle", self._files)
            self._home, self._bundle, self._files = home, load(home.path / "bundle"), {}
        return self._bundle

    def __getstate__(self) -> dict[str, Any]:
        files = self._files if self._bundle is None else dict(read(self._bundle.folder).files)
        return {"_home": None, "_bundle": None, "_files": files}
