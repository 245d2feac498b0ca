"""A bundle as a header of C99 answers as the bundle does, whatever stands in a row."""

import importlib.util
import math
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from steelyard.bundle import About, load, write
from steelyard.bundle.opening import read
from steelyard.contracts import Amount, Artefact, Column, Feed, Kind, Problem, Schema, Split, Task, Work
from steelyard.errors import BundleRefused, ExportRefused
from steelyard.export import Given, export
from steelyard.export.c.header import header_of
from steelyard.export.c.measured import chosen, effect
from steelyard.export.c.names import Names
from steelyard.recipe import Plan, Train
from steelyard.registry import learners

_spec = importlib.util.spec_from_file_location("c_programs", Path(__file__).with_name("c_programs.py"))
_programs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_programs)
CC, CHECKED, LEARNERS, STRICT = _programs.CC, _programs.CHECKED, _programs.LEARNERS, _programs.STRICT
Meter, Program = _programs.Meter, _programs.Program
agree, bundle, joined, made_up, wild = (
    getattr(_programs, name) for name in ("agree", "bundle", "joined", "made_up", "wild")
)
needs_compiler = pytest.mark.skipif(CC is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def binaries(tmp_path_factory):
    """The folder of a bundle of two classes by learner."""
    home = tmp_path_factory.mktemp("binaries")
    return {learner: bundle(home / learner, learner, Problem.BINARY) for learner in LEARNERS}


# -------------------------------------------------------------------------------------------- the same answers


@needs_compiler
@pytest.mark.parametrize("learner", LEARNERS)
def test_it_answers_as_the_bundle_under_sanitizers_on_any_row(binaries, learner, tmp_path):
    columns = made_up(Problem.BINARY)[0].columns
    program = Program(tmp_path, read(binaries[learner]))
    agree(program, binaries[learner], columns)
    agree(program, binaries[learner], wild(columns, 2000, seed=5))


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("problem", [Problem.MULTICLASS, Problem.REGRESSION])
@pytest.mark.parametrize("learner", LEARNERS)
def test_so_it_does_for_several_classes_and_for_numbers(learner, problem, seed, tmp_path):
    folder = bundle(tmp_path / "bundle", learner, problem, seed=seed, rounds=40)
    columns = made_up(problem, seed=seed)[0].columns
    program = Program(tmp_path / "c", read(folder))
    agree(program, folder, columns)
    agree(program, folder, wild(columns, 5000, seed))


@needs_compiler
@pytest.mark.parametrize(
    "rule",
    [
        {"rule": "threshold", "positive": 1, "at": 0.3},
        {"rule": "threshold", "positive": 0, "at": math.nextafter(1.0, 2.0)},
        {"rule": "temperature", "at": 2.5},
        {"rule": "isotonic", "curves": [{"from": [0.1, 0.4, 0.8], "to": [0.05, 0.5, 0.9]}]},
    ],
    ids=["threshold", "never", "temperature", "isotonic"],
)
def test_thresholds_and_calibration_are_the_bundles(binaries, rule, tmp_path):
    folder = joined(tmp_path / "joined", rule, binaries["lightgbm"])
    columns = made_up(Problem.BINARY)[0].columns
    program = Program(tmp_path / "c", read(folder), 32, "-O0")
    decided, scores = program.answer(columns)
    truth = load(folder).answer(columns)
    assert np.abs(scores - truth.scores).max() < 2e-6
    cut = rule.get("at", 0.5) if rule["rule"] == "threshold" else 0.5
    clear = np.abs(truth.scores[:, rule.get("positive", 1)] - cut) > 1e-5
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(decided[clear], truth.decided[clear])


@needs_compiler
@pytest.mark.slow
def test_blends_pools_lines_and_money_are_the_bundles(binaries, tmp_path):
    columns = made_up(Problem.BINARY)[0].columns
    blend = joined(tmp_path / "blend", {"rule": "blend", "weights": [1, 3]}, binaries["linear"], binaries["lightgbm"])
    agree(Program(tmp_path / "1", read(blend), 32, "-O0"), blend, columns)
    task = replace(
        read(blend).manifest.task,
        value=((0.0, -1.0), (-9.0, 0.0)),
        aim="value",
        amounts=(Amount("credit amount", ((0.0, 0.0), (-1.0, 0.0)), means=(1.0, 2.0)),),
    )
    for place, rule in enumerate(({"rule": "pool", "weights": [0.5, 1.5], "offsets": [0.1, 0.0]},)):
        pool = joined(tmp_path / f"pool{place}", rule, binaries["linear"], binaries["lightgbm"], task=task)
        decided, scores = Program(tmp_path / f"2{place}", read(pool), 32, "-O0").answer(columns)
        truth = load(pool).answer(columns)
        assert np.abs(scores - truth.scores).max() < 2e-6
        assert (decided != truth.decided).mean() < 0.01
        assert (truth.decided != truth.scores.argmax(axis=1)).any(), "money decides otherwise"
    values = bundle(tmp_path / "values", "linear", Problem.REGRESSION)
    line = joined(tmp_path / "line", {"rule": "line", "times": 1.1, "plus": -3.0}, values)
    _, scores = Program(tmp_path / "3", read(line), 32, "-O0").answer(columns)
    np.testing.assert_allclose(scores[:, 0], load(line).answer(columns).decided, rtol=2e-6)


@needs_compiler
def test_rows_of_floats_are_answered_without_a_double(binaries, tmp_path):
    split, task, schema = made_up(Problem.BINARY)
    columns = {name: cells for name, cells in split.columns.items() if name != "Credit-Amount"}
    schema = Schema(tuple(column for column in schema.columns if column.name in columns))
    work = Work(task=task, schema=schema, seed=1)
    fitted = learners().get("linear").fit(Plan(), replace(split, columns=columns), None, work, Meter())
    folder = tmp_path / "bundle"
    write(folder, fitted.export(), About(task, schema, Train(learner="linear"), "f1ngerpr1nt", {}))
    program = Program(tmp_path / "c", read(folder), 32, "-O1", "-DSTEELYARD_NUMBER=float", *CHECKED)
    (tmp_path / "c" / "own.c").write_text('#define STEELYARD_IMPLEMENTATION\n#include "steelyard.h"\n')
    alone = [CC, *STRICT, "-DSTEELYARD_NUMBER=float", "-Wdouble-promotion", "-c", "own.c"]
    subprocess.run(alone, cwd=tmp_path / "c", check=True)
    agree(program, folder, columns, within=2e-5)
    assert not program.header.double
    assert header_of(read(binaries["linear"]), 32, ()).double, "a time in seconds has more digits than a float"


# ------------------------------------------------------------------------------------------------ rounding


@needs_compiler
@pytest.mark.parametrize("learner", ["linear", "catboost", "extra-trees"])
def test_what_8_bits_change_is_measured_before_anything_is_compiled(binaries, learner, tmp_path):
    columns, opened = made_up(Problem.BINARY)[0].columns, read(binaries[learner])
    program = Program(tmp_path, opened, 8, "-O0")
    decided, scores = program.answer(columns)
    truth = load(binaries[learner]).answer(columns)
    told = effect(opened, columns, 8)
    assert told.farthest == pytest.approx(np.abs(scores - truth.scores).max(), abs=2e-6)
    assert 1e-6 < told.farthest < 0.05
    assert abs(told.changed - int((decided != truth.decided).sum())) <= 1
    assert program.header.flash < header_of(opened, 32, ()).flash


def test_bits_grow_until_no_decision_changes(binaries, monkeypatch):
    columns, opened = made_up(Problem.BINARY)[0].columns, read(binaries["linear"])
    found = chosen(opened, columns)
    assert found.changed == 0
    assert found.bits in {8, 16}
    monkeypatch.setattr("steelyard.export.c.measured.FARTHEST", -1.0)
    assert chosen(opened, columns).bits == 32


def test_averages_of_classes_that_8_bits_leave_no_probabilities_get_more(tmp_path):
    folder = bundle(tmp_path / "bundle", "extra-trees", Problem.MULTICLASS)
    opened, columns = read(folder), made_up(Problem.MULTICLASS)[0].columns
    with pytest.raises(BundleRefused, match="no probabilities"):
        _scores(opened, columns, 8)
    found = effect(opened, columns, 8)
    assert (found.changed, found.farthest, found.fine) == (300, 1.0, False)
    assert chosen(opened, columns).bits == 16


def test_without_rows_trees_have_a_bound_and_linear_models_are_refused(binaries, tmp_path):
    said = export(binaries["lightgbm"], "c", Given(out=tmp_path / "trees")).said
    bound = float(re.search(r"moves by (\S+) at most", said[1])[1])
    opened, columns = read(binaries["lightgbm"]), made_up(Problem.BINARY)[0].columns
    odds = [np.log(p[:, 1] / p[:, 0]) for p in _scores(opened, columns, 32, 16)]
    assert 0 < np.abs(odds[0] - odds[1]).max() <= bound + 1e-5
    with pytest.raises(ExportRefused, match="give some with --rows FILE"):
        export(binaries["linear"], "c", Given(out=tmp_path / "linear"))
    assert not (tmp_path / "linear").exists()


def _scores(opened, columns, *widths):
    from steelyard.export.c.measured import _model

    return [_model(opened, bits).answer(columns).scores for bits in widths]


@needs_compiler
def test_the_folder_of_a_run_is_held_against_the_runs_own_rows(run, tmp_path):
    from steelyard.api import open_run

    written = export(run, "c", Given(out=tmp_path / "c"))
    assert "of the run's own rows" in written.said[1] or "on the run's own rows" in written.said[1]
    assert {path.name for path in (tmp_path / "c").iterdir()} == {
        "README.md",
        "example.c",
        "manifest.json",
        "manifest.sha256",
        "steelyard.h",
    }
    command = [CC, *STRICT, "example.c", "-o", "example", "-lm"]
    subprocess.run(command, cwd=tmp_path / "c", check=True)
    text = "0.5\t0.1\tred\n-2\t1\tgrey\n"
    ran = subprocess.run([tmp_path / "c" / "example"], input=text, capture_output=True, text=True, check=True)
    rows = {"a": [0.5, -2.0], "b": [0.1, 1.0], "colour": ["red", "grey"]}
    opened = open_run(run).bundle
    assert [opened.task.classes[int(line[0])] for line in ran.stdout.splitlines()] == opened.predict(rows).tolist()


# ------------------------------------------------------------------------------------------- names, refusals


@needs_compiler
@pytest.mark.slow
def test_ten_thousand_categories_and_names_that_are_no_identifiers_compile(tmp_path):
    rng = np.random.default_rng(0)
    words = [f'naïve "value" {i} ??= 数 \\n' for i in range(10_000)]
    cells = np.array(words * 2, object)
    cells = cells[rng.permutation(len(cells))]
    hidden = np.array([len(word) + int(word.split()[2]) % 2 for word in cells]) % 2
    schema = Schema((Column(name="struct", kind=Kind.CATEGORY), Column(name="名", kind=Kind.NUMBER)))
    columns = {"struct": cells, "名": rng.normal(size=len(cells))}
    task = Task(problem=Problem.BINARY, target="y", aim="accuracy", classes=("0", "1"))
    split = Split(columns, hidden.astype(np.int64), np.arange(len(cells)))
    work = Work(task=task, schema=schema, seed=1)
    fitted = learners().get("lightgbm").fit(Plan(rounds=3), split, None, work, Meter())
    write(tmp_path / "b", fitted.export(), About(task, schema, Train(learner="lightgbm"), "f1ngerpr1nt", {}))
    program = Program(tmp_path / "c", read(tmp_path / "b"), 32, "-O0")
    agree(program, tmp_path / "b", {name: values[:500] for name, values in columns.items()})
    assert len(next(field for field in program.header.fields if field.is_category).values) == 10_000


@needs_compiler
def test_two_headers_live_in_one_program_and_in_cpp(binaries, tmp_path):
    for prefix, learner in (("first", "linear"), ("second", "catboost")):
        header = header_of(read(binaries[learner]), 8, (), prefix)
        (tmp_path / f"{prefix}.h").write_text(header.text, encoding="ascii")
        (tmp_path / f"{prefix}.c").write_text(f'#define {prefix.upper()}_IMPLEMENTATION\n#include "{prefix}.h"\n')
    body = "float s[2];\n    return first_predict(0, s) + second_predict(0, s) + 2;"
    main = f'#include "first.h"\n#include "second.h"\nint main(void)\n{{\n    {body}\n}}\n'
    (tmp_path / "main.c").write_text(main)
    files = ["main.c", "first.c", "second.c"]
    subprocess.run([CC, *STRICT, *files, "-o", "both", "-lm"], cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "both"], check=False).returncode == 0, "a null pointer is refused by -1"
    if cpp := shutil.which("g++"):
        subprocess.run([cpp, "-std=c++17", "-fsyntax-only", "-x", "c++", "main.c"], cwd=tmp_path, check=True)


@needs_compiler
def test_fast_math_is_refused_by_the_compiler(binaries, tmp_path):
    header = header_of(read(binaries["linear"]), 8, ())
    (tmp_path / "steelyard.h").write_text(header.text)
    (tmp_path / "a.c").write_text('#define STEELYARD_IMPLEMENTATION\n#include "steelyard.h"\n')
    built = subprocess.run([CC, "-ffast-math", "-c", "a.c"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode != 0
    assert "a missing number is a NaN" in built.stderr


@pytest.mark.parametrize("learner", LEARNERS)
def test_nothing_allocates_recurses_or_calls_beyond_mathematics(binaries, learner):
    text = header_of(read(binaries[learner]), 8, ()).text
    body = re.sub(r"/\*.*?\*/", "", text[text.index("IMPLEMENTATION\n#ifdef __FAST") :], flags=re.DOTALL)
    assert re.findall(r"#include <(\w+)\.h>", body) == ["math"]
    called = set(re.findall(r"\b([a-z_0-9]+)\(", re.sub(r'"[^"]*"', "", body)))
    defined = {name for name in called if re.search(rf"\b{name}\([^)]*\)\n\{{", body)}
    assert called - defined <= {"isnan", "isfinite", "expf", "logf", "floorf", "floor", "sizeof", "for", "if", "while"}
    order = [body.index(f"{name}(") for name in defined]
    assert len(order) == len(defined)
    for name in defined:  # a function calls only those above it
        start = re.search(rf"\b{name}\([^)]*\)\n\{{", body).end()
        assert f"{name}(" not in body[start : body.index("\n}\n", start)]


def test_enumerators_and_fields_are_unique_after_mangling():
    names = Names("value")
    made = [names.take(words) for words in ("a b", "a-b", "a_b", "A.B", "城", "市", "a_b_2", "int", "INT")]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in made)
    assert not {"int", "class"} & set(made)


def test_what_has_no_c_form_is_refused_in_one_sentence(binaries, maker, tmp_path):
    cascade = {"rule": "cascade", "measure": "margin", "at": 0.5}
    pair = binaries["linear"], binaries["lightgbm"]
    with pytest.raises(ExportRefused, match=r"rule 'cascade'.*export one of its members"):
        export(joined(tmp_path / "cascade", cascade, *pair), "c", Given(out=tmp_path / "1"))
    text = maker.write(tmp_path / "text", maker.mixed())
    with pytest.raises(ExportRefused, match=r"column 'note' is text.*--to ort"):
        export(text, "c", Given(out=tmp_path / "2"))
    odd = maker.numbers(end="Softplus").SerializeToString()
    with pytest.raises(ExportRefused, match="operator Softplus has no C form"):
        export(
            maker.write(tmp_path / "odd", Artefact(odd, (Feed("numbers", ("x",), ("age",)),))),
            "c",
            Given(out=tmp_path / "3"),
        )


def test_a_forest_that_fills_a_flash_is_refused_with_its_size(binaries, monkeypatch, tmp_path):
    monkeypatch.setattr("steelyard.export.c.header.LARGEST", 1000)
    with pytest.raises(ExportRefused, match=r"would take 0 MB.*distil"):
        export(binaries["extra-trees"], "c", Given(out=tmp_path / "c"))
    assert not (tmp_path / "c").exists()


def test_rows_are_for_c_alone_and_a_taken_folder_stays(binaries, tmp_path):
    with pytest.raises(ExportRefused, match="--rows is for --to c"):
        export(binaries["linear"], "ort", Given(out=tmp_path / "o", rows=tmp_path / "rows.csv"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    for to in ("c", "ort", "onnx"):
        with pytest.raises(ExportRefused, match="is not empty"):
            export(binaries["lightgbm"], to, Given(out=tmp_path / "mine"))
