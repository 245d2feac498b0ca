"""Read the catalogue's cloud machines anew: ``python docs/prices.py aws=vms.csv@COMMIT gcp=vms.csv@COMMIT [--write]``.

The files are those of https://github.com/skypilot-org/skypilot-catalog, ``catalogs/v8/<cloud>/vms.csv``, downloaded by
whoever runs this. What changed is printed; a price out of bounds is told and the old one kept; ``--write`` keeps the
rest. The date of the rows is today's.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from steelyard.errors import SteelyardError
from steelyard.money import catalogue
from steelyard.money.catalogue.refresh import read, refreshed, written


def main(words: list[str]) -> int:
    """Refresh from the files named; return 1 where a price was refused."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="CLOUD=PATH@COMMIT")
    parser.add_argument("--write", action="store_true", help="keep what changed in machines.yaml")
    asked = parser.parse_args(words)
    machines, sources, refused = list(catalogue.machines()), {}, 0
    today = datetime.now(UTC).date().isoformat()
    for word in asked.files:
        cloud, _, rest = word.partition("=")
        path, _, commit = rest.rpartition("@")
        if not (path and len(commit) == 40 and cloud in {machine.cloud for machine in machines}):
            parser.error(f"{word}: write CLOUD=PATH@COMMIT, a cloud of the catalogue and a commit of 40 digits")
        machines, changes = refreshed(machines, read(Path(path)), cloud)
        sources[cloud] = (commit, today)
        refused += sum(not change.taken for change in changes)
        for change in changes:
            print(f"{'' if change.taken else 'NOT TAKEN '}{change.key}: {change.sentence}")
        print(f"{cloud}: {sum(change.taken for change in changes)} changes")
    if asked.write:
        place = Path(str(files("steelyard.money.catalogue"))) / "machines.yaml"
        place.write_text(written(place.read_text(encoding="utf-8"), machines, sources), encoding="utf-8")
        print(f"wrote {place}")
    return 1 if refused else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SteelyardError as problem:
        sys.exit(str(problem))
