"""One run, one format: check what was asked, read the run, write."""

from __future__ import annotations

from pathlib import Path

from steelyard.errors import ExportRefused, RunUnwritable, nearest
from steelyard.export.bundles import Source
from steelyard.export.formats import FORMATS, Format, Given, Place, Written
from steelyard.export.view import View
from steelyard.search.folder import write_atomically


def export(run: Path, to: str, given: Given) -> Written:
    """Write a run in another form.

    Parameters
    ----------
    run
        Its folder; it is only read. Where the format is of a bundle, a bundle will do.
    to
        The format, a name of :data:`FORMATS`.
    given
        Where to, and what else was said.

    Raises
    ------
    ExportRefused
        If there is no such format, the place does not suit it or is taken, or the run has nothing for it.
    RunUnreadable
        If there is no run.
    RunUnwritable
        If the place refuses to be written.
    MissingExtra
        If the format needs a package that is not installed.
    """
    if to not in FORMATS:
        raise ExportRefused(f"there is no format {to!r}{nearest(to, FORMATS)}; --to is one of {', '.join(FORMATS)}")
    found = FORMATS[to]
    _check(to, found, given)
    try:
        is_bundle = found.of_bundle
        written = found.write_bundle(Source.of(run), given) if is_bundle else found.write(View.of(run), given)
    except OSError as problem:
        why = problem.strerror or str(problem)
        raise RunUnwritable(f"cannot write {given.out or to}: {why}; name another place with -o") from problem
    if found.place is Place.TEXT and given.out is not None:
        write_atomically(given.out, written.text, way_out="name another file with -o")
    return written


def _check(to: str, found: Format, given: Given) -> None:
    """Refuse what does not suit the format."""
    if given.rows is not None and to != "c":
        raise ExportRefused(f"--rows is for --to c, whose weights are rounded; leave it out for {to}")
    if found.place is not Place.SERVER and (given.tracking_uri or given.experiment):
        raise ExportRefused(f"--tracking-uri and --experiment are for --to mlflow; {to} goes to {found.place.value}")
    if to != "browser" and (given.web is not None or given.download):
        raise ExportRefused(f"--web and --download are for --to browser; {to} needs nothing of npm")
    if found.place is Place.SERVER and given.out is not None:
        raise ExportRefused(f"{to} goes to {found.place.value}; leave -o out and name it with --tracking-uri")
    if found.place in {Place.FILE, Place.FOLDER} and given.out is None:
        raise ExportRefused(f"{to} goes to {found.place.value}; name it with -o")
    if found.place is Place.FOLDER and given.out is not None:
        _check_free(given.out)
    elif given.out is not None and given.out.is_dir():
        raise ExportRefused(f"{given.out} is a folder, and {to} goes to a file; name one with -o")


def _check_free(folder: Path) -> None:
    is_folder = folder.is_dir()
    if (folder.exists() and not is_folder) or (is_folder and any(folder.iterdir())):
        raise ExportRefused(f"{folder} is not empty; name an empty or new folder with -o")
