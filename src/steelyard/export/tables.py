"""All trials as a table: CSV text, or a Parquet file."""

from __future__ import annotations

import csv
import io
import os

from steelyard.errors import need
from steelyard.export.formats import Given, Written
from steelyard.export.view import View


def csv_text(view: View, given: Given) -> Written:
    """Return the trials as CSV (RFC 4180, lines end with a line feed); what is not known is empty."""
    rows, out = view.rows(), io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else ["number"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return Written(str(given.out or ""), out.getvalue(), (f"{len(rows)} trials",))


def parquet(view: View, given: Given) -> Written:
    """Write the trials as Parquet; the name of the run and its fingerprint stand in the metadata of the schema.

    Raises
    ------
    MissingExtra
        If pyarrow is not installed.
    """
    assert given.out is not None, "a file was asked for"
    arrow, files = (need(name, for_="--to parquet") for name in ("pyarrow", "pyarrow.parquet"))
    rows = view.rows()
    table = arrow.Table.from_pylist(rows) if rows else arrow.table({"number": arrow.array([], arrow.int64())})
    table = table.replace_schema_metadata(
        {"steelyard.run": view.record.name, "steelyard.data": view.record.fingerprint}
    )
    aside = given.out.with_name(f".{given.out.name}.{os.getpid()}")
    try:
        files.write_table(table, aside)
        aside.replace(given.out)
    finally:
        aside.unlink(missing_ok=True)
    return Written(str(given.out), said=(f"{len(rows)} trials",))
