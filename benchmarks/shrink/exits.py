"""Other exits than the server: ``python benchmarks/shrink/exits.py``.

German credit, adult income, breast cancer and wine, each by the four learners that C takes, on three rows of four;
every fourth row is a test row. Of each bundle: bytes, time to load and time of a row of the bundle itself, of ONNX
Runtime's format, and of the C header (as compiled with ``-O2``, by ``size``), and how many decisions on test rows are
others than the bundle's. The width of C's weights is chosen on training rows. Then, where there is a network, whether
every package of the image has wheels for both architectures, and how large they are unpacked.

``ONLY=german_credit`` measures one set, ``MINUTES=4`` starts nothing after that time; a second call goes on. Data:
``STEELYARD_DATA``, else ``../shared/data``. Figures are of one thread; times of exits and bundle are taken in turn.
"""

from __future__ import annotations

import io
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import numpy as np

from rows import ROOT, Bench, Row
from steelyard.bundle import About, Bundle, load, write
from steelyard.bundle.opening import read
from steelyard.contracts import Columns, Split, Work
from steelyard.data import load as load_data
from steelyard.data.dataset import Dataset
from steelyard.export.bundles import Source
from steelyard.export.c.header import Header, header_of
from steelyard.export.c.measured import chosen
from steelyard.export.formats import Given
from steelyard.export.ort import MODEL
from steelyard.export.ort import folder as to_ort
from steelyard.recipe import Plan, Train
from steelyard.registry import learners
from steelyard.spec import Spec

DATA = Path(os.environ.get("STEELYARD_DATA") or ROOT.parent / "shared" / "data")
TURNS, ROUNDS, MOST_ROWS = 5, 150, 16_000
SETS = ("german_credit", "adult_income", "breast_cancer", "wine")
LEARNERS = ("linear", "lightgbm", "catboost", "extra-trees")
PLATFORMS = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
_PROGRAM = """\
#define STEELYARD_IMPLEMENTATION
#include "steelyard.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#define MOST 20000
static struct steelyard_row rows[MOST];
static char line[1 << 20];
int main(int argc, char **argv)
{
    float scores[STEELYARD_SCORES];
    int count = 0, turns = argc > 1 ? atoi(argv[1]) : 1, sum = 0;
    while (count < MOST && fgets(line, sizeof line, stdin)) {
        struct steelyard_row row;
        char *cells[%(cells)d], *at = line;
        for (int i = 0; i < %(cells)d; i++) {
            cells[i] = at;
            while (*at != 0 && *at != '\\t' && *at != '\\n') at++;
            if (*at != 0) *at++ = 0;
        }
%(reads)s
        rows[count++] = row;
    }
    if (argc < 2) {
        for (int i = 0; i < count; i++) {
            printf("%%d", steelyard_predict(rows + i, scores));
            for (int k = 0; k < STEELYARD_SCORES; k++) printf("\\t%%.9g", (double)scores[k]);
            printf("\\n");
        }
        return 0;
    }
    clock_t start = clock();
    for (int t = 0; t < turns; t++) for (int i = 0; i < count; i++) sum += steelyard_predict(rows + i, scores);
    printf("%%.3f %%d\\n", 1e9 * (double)(clock() - start) / CLOCKS_PER_SEC / ((double)turns * count), sum);
    return 0;
}
"""


class Meter:
    """Lets a learner train as long as it takes."""

    def report(self, step: int, value: float) -> bool:
        del step, value
        return True

    def remaining(self) -> float:
        return math.inf

    def note(self, sentence: str) -> None:
        del sentence


def table(name: str) -> Dataset:
    """Return a set; those of scikit-learn come with the package."""
    files = {"german_credit": ("target", []), "adult_income": ("income", ["split"])}
    if name in files:
        target, ignored = files[name]
        return load_data(Spec(data=str(DATA / name / "data.csv.gz"), target=target, columns={"ignore": ignored}))
    from sklearn import datasets

    made = getattr(datasets, f"load_{name}")()
    frame = {str(column): made.data[:, place].tolist() for place, column in enumerate(made.feature_names)}
    return load_data(Spec(data=frame | {"target": [str(made.target_names[t]) for t in made.target]}, target="target"))


def parts(data: Dataset) -> tuple[Split, Split]:
    """Return training rows and test rows."""
    order = np.random.default_rng(0).permutation(len(data.rows))[:MOST_ROWS]
    return data.rows.take(order[len(order) // 4 :]), data.rows.take(order[: len(order) // 4])


def measured(name: str, learner: str) -> Mapping[str, Any]:
    """Train, write, export, compile, and hold every exit against the bundle on test rows."""
    data = table(name)
    train, test = parts(data)
    plan = Plan(rounds=ROUNDS if learner in {"lightgbm", "catboost"} else None)
    work = Work(task=data.task, schema=data.schema, seed=0, threads=1)
    fitted = learners().get(learner).fit(plan, train, None, work, Meter())
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "bundle"
        about = About(data.task, data.schema, Train(learner=learner), data.fingerprint, {})
        write(folder, fitted.export(), about)
        bundle, opened = load(folder), read(folder)
        truth = bundle.answer(test.columns)
        found = chosen(opened, train.columns)
        header = header_of(opened, found.bits, ())
        row: dict[str, Any] = {"rows": len(test), "bits": found.bits, "bundle_bytes": bundle.size_bytes}
        row["right"] = float((truth.decided == test.target).mean())
        row |= _of_ort(Source.of(folder), bundle, test.columns, Path(home) / "ort")
        program = _compiled(header, Path(home) / "c")
        text = _text(header, test.columns)
        decided, scores = _answers(program, text)
        row["changed"] = int((decided != truth.decided).sum())
        row["farthest"] = float(np.abs(scores - truth.scores).max())
        row |= _sizes(header, Path(home) / "c") | _times(bundle, test.columns, program, text)
    return row


def _of_ort(source: Source, bundle: Bundle, columns: Columns, place: Path) -> dict[str, Any]:
    import onnxruntime

    place.mkdir()
    to_ort(source, Given(out=place))
    content = (place / MODEL).read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    from steelyard.bundle.front_ends import FRONT_ENDS

    artefact = source.opened.artefact()
    fronts = [FRONT_ENDS[feed.front_end](feed, artefact.files) for feed in artefact.feeds]
    tensors = {n: t for front in fronts for n, t in front(columns).items()}
    far = np.abs(session.run(["scores"], tensors)[0] - bundle.answer(columns).scores).max()
    starts = [
        1e3 * _seconds(lambda: onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])),
        1e3 * _seconds(lambda: load(source.place)),
    ]
    return {"ort_bytes": len(content), "ort_farthest": float(far), "ort_load_ms": starts[0], "load_ms": starts[1]}


def _seconds(do: Callable[[], object]) -> float:
    """Return the median processor time of some calls."""
    spent = []
    for _ in range(TURNS):
        start = time.process_time()
        do()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def _compiled(header: Header, folder: Path) -> Path:
    folder.mkdir()
    reads = "\n".join(
        f"        row.{field.name} = "
        + (
            f"steelyard_code_{field.name}(cells[{place}]);"
            if field.is_category
            else f"cells[{place}][0] == 0 ? (steelyard_number)NAN : (steelyard_number)strtod(cells[{place}], 0);"
        )
        for place, field in enumerate(header.fields)
    )
    (folder / "steelyard.h").write_text(header.text, encoding="ascii")
    (folder / "own.c").write_text('#define STEELYARD_IMPLEMENTATION\n#include "steelyard.h"\n', encoding="ascii")
    (folder / "main.c").write_text(_PROGRAM % {"cells": len(header.fields), "reads": reads}, encoding="ascii")
    strict = ["cc", "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run([*strict, "main.c", "-o", "main", "-lm"], cwd=folder, check=True)
    subprocess.run([*strict, "-c", "own.c"], cwd=folder, check=True)
    return folder / "main"


def _text(header: Header, columns: Columns) -> bytes:
    def cell(field: Any, row: int) -> str:
        value = columns[field.column.name][row]
        return (value or "") if field.is_category else "" if np.isnan(value) else repr(float(value))

    rows = len(next(iter(columns.values())))
    return "".join("\t".join(cell(f, row) for f in header.fields) + "\n" for row in range(rows)).encode()


def _answers(program: Path, text: bytes) -> tuple[np.ndarray, np.ndarray]:
    ran = subprocess.run([program], input=text, capture_output=True, check=True)
    found = np.array([line.split(b"\t") for line in ran.stdout.splitlines()], np.float64)
    return found[:, 0].astype(np.int64), found[:, 1:]


def _sizes(header: Header, folder: Path) -> dict[str, int]:
    words = subprocess.run(["size", "own.o"], cwd=folder, capture_output=True, text=True, check=True).stdout.split()
    code, data, bss = map(int, words[6:9])
    header_bytes = (folder / "steelyard.h").stat().st_size
    return {
        "c_bytes": code + data + bss,
        "c_tables": header.flash,
        "c_stack": header.stack,
        "header_bytes": header_bytes,
    }


def _times(bundle: Bundle, columns: Columns, program: Path, text: bytes) -> dict[str, float]:
    """Return nanoseconds a row, one row at a time: of C and of the bundle, in turn."""
    cells = [{name: values[row] for name, values in columns.items()} for row in range(min(200, len(text.splitlines())))]
    own, others = list[float](), list[float]()
    for _ in range(TURNS):
        turns = str(max(1, 200_000 // len(text.splitlines()) // 4))
        own.append(
            float(subprocess.run([program, turns], input=text, capture_output=True, check=True).stdout.split()[0])
        )
        start = time.process_time()
        for each in cells:
            bundle.answer_cells(each)
        others.append(1e9 * (time.process_time() - start) / len(cells))
    return {"c_ns": statistics.median(own), "bundle_ns": statistics.median(others)}


def wheels(platform: str) -> Mapping[str, Any]:
    """Ask the package registry for a wheel of every package of the image, for one platform."""
    from steelyard.deploy import pins_of

    machine = PLATFORMS[platform]
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "requirements.txt").write_text(pins_of().requirements, encoding="utf-8")
        tags = [f"manylinux_2_{minor}_{machine}" for minor in (36, 35, 34, 31, 28, 27, 26, 24, 17)]
        where = [word for tag in [*tags, f"manylinux2014_{machine}"] for word in ("--platform", tag)]
        python = f"{sys.version_info.major}{sys.version_info.minor}"
        abis = [word for abi in (f"cp{python}", "abi3", "none") for word in ("--abi", abi)]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *where]
        command += ["--implementation", "cp", "--python-version", python, *abis]
        ran = subprocess.run(
            [*command, "--requirement", "requirements.txt", "--dest", "."],
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise OSError(ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else "pip failed")
        found = sorted(Path(home).glob("*.whl"))
        unpacked = sum(
            entry.file_size for f in found for entry in zipfile.ZipFile(io.BytesIO(f.read_bytes())).infolist()
        )
        packed = sum(file.stat().st_size for file in found)
    return {"packages": len(found), "packed_mb": packed / 1e6, "unpacked_mb": unpacked / 1e6}


def _same(rows: Sequence[Row]) -> tuple[bool, str]:
    changed, total = sum(row["changed"] for row in rows), sum(row["rows"] for row in rows)
    share, z = changed / total, 1.96
    middle, half = share + z * z / (2 * total), z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    high = (middle + half) / (1 + z * z / total)
    far = max(row["farthest"] for row in rows)
    return high < 0.005, f"{changed} of {total:,} ({share:.3%}, at most {high:.3%}); farthest probability {far:.2g}"


def _smaller(rows: Sequence[Row]) -> tuple[bool, str]:
    ratios = sorted(row["bundle_bytes"] / row["c_bytes"] for row in rows)
    return ratios[0] > 1, f"{ratios[0]:.1f} to {ratios[-1]:.1f} times, median {statistics.median(ratios):.1f}"


def _faster(rows: Sequence[Row]) -> tuple[bool, str]:
    ratios = sorted(row["bundle_ns"] / row["c_ns"] for row in rows)
    return ratios[0] > 1, f"{ratios[0]:.1f} to {ratios[-1]:.1f} times, median {statistics.median(ratios):.1f}"


def _ort(rows: Sequence[Row]) -> tuple[bool, str]:
    far = max(row["ort_farthest"] for row in rows)
    return far < 1e-5, f"farthest score {far:.2g}"


def _both(rows: Sequence[Row]) -> tuple[bool, str]:
    return rows[0]["packages"] == rows[1]["packages"], ", ".join(
        f"{row['packages']} packages, {row['packed_mb']:.1f} MB packed, {row['unpacked_mb']:.1f} unpacked"
        for row in rows
    )


def _print(found: Sequence[tuple[str, str, Row]]) -> None:
    print(
        f"{'set':14s} {'learner':12s} {'bits':>4s} {'bundle':>9s} {'.ort':>9s} {'C':>8s} {'stack':>6s} "
        f"{'load ms':>8s} {'.ort ms':>8s} {'bundle ns':>10s} {'C ns':>7s} {'changed':>12s} {'farthest':>9s}"
    )
    for name, learner, row in found:
        print(
            f"{name:14s} {learner:12s} {row['bits']:4d} {row['bundle_bytes']:9,} {row['ort_bytes']:9,} "
            f"{row['c_bytes']:8,} {row['c_stack']:6,} {row['load_ms']:8.2f} {row['ort_load_ms']:8.2f} "
            f"{row['bundle_ns']:10,.0f} {row['c_ns']:7,.0f} {row['changed']:5d} of {row['rows']:4d} "
            f"{row['farthest']:9.2g}"
        )


def main() -> None:
    if shutil.which("cc") is None or shutil.which("size") is None:
        sys.exit("there is no C compiler: install gcc and binutils")
    bench = Bench("shrink-exits", ("onnxruntime", "onnx", "lightgbm", "catboost", "scikit-learn"))
    only = os.environ.get("ONLY", "")
    sets = [name for name in SETS if not only or name == only]
    for name in sets:
        for learner in LEARNERS:
            bench.measure({"set": name, "learner": learner}, lambda n=name, one=learner: measured(n, one))
    for platform in PLATFORMS if not only else ():
        bench.measure({"platform": platform}, lambda p=platform: wheels(p))
    found = [(n, one, row) for n in sets for one in LEARNERS for row in bench.rows(set=n, learner=one)]
    _print(found)
    rows, least = [row for *_, row in found], len(sets) * len(LEARNERS)
    bench.bar("C decides as the bundle does on test rows (fewer than 0.5% differ, upper 95%)", rows, _same, least=least)
    bench.bar("the object that C becomes is smaller than the bundle", rows, _smaller, least=least)
    bench.bar("C answers a row sooner than the bundle", rows, _faster, least=least)
    bench.bar("the .ort file answers as the bundle does (1e-5)", rows, _ort, least=least)
    if not only:
        kinds = [row for platform in PLATFORMS for row in bench.rows(platform=platform)]
        bench.bar("every package of the image has wheels for x86-64 and ARM64", kinds, _both, least=2)
    bench.finish()


if __name__ == "__main__":
    main()
