"""CoNLL files, lists of tokens in JSON Lines, and what is said of tags before anything is trained on them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from steelyard.contracts import Kind, Problem
from steelyard.data import inspect, load, store
from steelyard.data.conll import parse_conll, write_conll
from steelyard.errors import DataUnfit, DataUnreadable, SpecInvalid
from steelyard.spec import Spec, parse

NAMES = ("Ann", "Bob", "Cleo", "Dirk")
CITIES = ("Oslo", "Rome", "Lima")


def sentences(count, start=0, seed=0):
    """Sentences that differ, half of them with a city in them, and their tags in IOB2."""
    rng = np.random.default_rng(seed)
    for number in range(start, start + count):
        tokens, tags = [str(rng.choice(NAMES)), "sleeps", "in"], ["B-per", "O", "O"]
        if number % 2:
            tokens, tags = [*tokens, "New", "York"], [*tags, "B-loc", "I-loc"]
        else:
            tokens, tags = [*tokens, str(rng.choice(CITIES))], [*tags, "B-loc"]
        yield (*tokens, f"w{number}"), (*tags, "O")


def conll(rows, separator="\t", line="\n"):
    return "".join("".join(f"{a}{separator}{b}{line}" for a, b in zip(*row, strict=True)) + line for row in rows)


@pytest.fixture
def folder(tmp_path):
    for side, count, start in (("train", 60, 0), ("dev", 20, 100), ("test", 20, 200)):
        (tmp_path / f"{side}.conll").write_text(conll(sentences(count, start)))
    return tmp_path


def codes(finding):
    return [each.code for each in finding]


def test_a_folder_of_files_named_by_side_is_split_as_they_say(folder):
    data = load(Spec(data=str(folder), target="tags"))
    assert (data.task.problem, data.task.aim) == (Problem.TAGGING, "entity_f1")
    assert data.task.classes == ("O", "B-loc", "I-loc", "B-per", "I-per")
    assert [c.kind for c in data.schema.features] == [Kind.TOKENS]
    assert (len(data.partition.test), len(data.partition.validation)) == (20, 20)
    assert {int(row) for row in data.rows.rows[data.partition.test]} == set(range(80, 100))
    first = data.rows.columns["tokens"][0]
    assert data.rows.target[0].tolist() == [data.task.classes.index(t) for t in ("B-per", "O", "O", "B-loc", "O")]
    assert len(first) == 5


def test_files_are_named_by_side_in_the_spec(folder):
    text = f"data:\n  train: {folder}/train.conll\n  test: {folder}/test.conll\ntarget: tags\n"
    spec = parse(text)
    assert parse(spec.to_yaml()).data == spec.data
    data = load(spec)
    assert (len(data.partition.test), data.partition.protocol) == (20, "3 x 5-fold")


def test_the_same_files_give_the_same_fingerprint_and_other_tags_another(folder):
    first = load(Spec(data=str(folder), target="tags"))
    assert load(Spec(data=str(folder), target="tags")).fingerprint == first.fingerprint
    text = (folder / "dev.conll").read_text()
    (folder / "dev.conll").write_text(text.replace("B-per", "B-loc", 1))
    assert load(Spec(data=str(folder), target="tags")).fingerprint != first.fingerprint


def test_what_is_stored_is_read_back_the_same(folder, tmp_path):
    data = load(Spec(data=str(folder), target="tags"))
    store.save(data, tmp_path / "run")
    again = store.read(tmp_path / "run")
    assert again.fingerprint == data.fingerprint
    assert again.rows.columns["tokens"].tolist() == data.rows.columns["tokens"].tolist()
    assert [t.tolist() for t in again.rows.target] == [t.tolist() for t in data.rows.target]


def test_a_share_asked_for_beside_given_sides_is_refused(folder):
    with pytest.raises(DataUnfit, match=r"split\.test: the files already say"):
        load(Spec(data=str(folder), target="tags", split={"test": 0.3}))


@pytest.mark.parametrize(
    ("name", "match"), [("extra.conll", "does not say whether"), ("valid.conll", "both for validation")]
)
def test_a_file_whose_side_is_unknown_or_taken_is_refused(folder, name, match):
    (folder / name).write_text("Ann\tB-per\n")
    with pytest.raises(DataUnreadable, match=match):
        load(Spec(data=str(folder), target="tags"))


def test_a_test_file_alone_is_refused(folder):
    with pytest.raises(DataUnreadable, match="no file for train"):
        load(Spec(data={"test": str(folder / "test.conll")}, target="tags"))
    with pytest.raises(DataUnreadable, match="is no side"):
        load(Spec(data={"train": str(folder / "train.conll"), "tset": str(folder / "test.conll")}, target="tags"))


@pytest.mark.parametrize(
    ("text", "tokens", "tags"),
    [
        ("Ann B-per\r\nsleeps O\r\n", [("Ann", "sleeps")], [("B-per", "O")]),
        (
            "-DOCSTART- -X- O O\n\nAnn NNP I-NP B-per\n\nBob NNP I-NP B-per\n",
            [("Ann",), ("Bob",)],
            [("B-per",), ("B-per",)],
        ),
        ("# id = 3\nAnn\tB-per\n#\tO\n#now\tO\n", [("Ann", "#", "#now")], [("B-per", "O", "O")]),
        ("# a b c\nAnn B-per\n# O\n", [("Ann", "#")], [("B-per", "O")]),
        ("Ann\tB-per\nsleeps\n\nBob\tB-per\n", [("Ann", "sleeps"), ("Bob",)], [None, ("B-per",)]),
        ("New York\tB-loc\n   \n\n\nOslo\tB-loc", [("New York",), ("Oslo",)], [("B-loc",), ("B-loc",)]),
        ("a\u2028b\tO\n\x85\tO\n", [("a\u2028b",)], [("O",)]),
        ("😀\tO\n北京\tB-loc\n", [("😀", "北京")], [("O", "B-loc")]),
    ],
)
def test_every_way_to_write_a_file_is_read(text, tokens, tags):
    found = parse_conll(text, Path("a.conll"))
    assert (found.tokens, found.tags) == (tokens, tags)


def test_a_file_is_unpacked_and_one_without_tokens_or_tags_refused(tmp_path):
    packed = tmp_path / "a.conll.gz"
    packed.write_bytes(gzip.compress(conll(sentences(80)).encode()))
    assert load(Spec(data=str(packed), target="tags")).task.problem is Problem.TAGGING
    for text, match in (("\n\n-DOCSTART- O\n\n", "holds no token"), ("Ann\nsleeps\n\nBob\n", "tokens without tags")):
        (tmp_path / "b.conll").write_text(text)
        with pytest.raises(DataUnreadable, match=match):
            load(Spec(data=str(tmp_path / "b.conll"), target="tags"))


def test_what_is_written_is_read_back():
    rows = list(zip(*sentences(5), strict=True))
    found = parse_conll(write_conll(*rows), Path("a.conll"))
    assert (tuple(found.tokens), tuple(found.tags)) == tuple(map(tuple, rows))


def as_table(rows):
    tokens, tags = zip(*rows, strict=True)
    return {"tokens": [list(t) for t in tokens], "tags": [list(t) for t in tags]}


def test_lists_in_json_lines_are_tokens_and_tags(tmp_path):
    file = tmp_path / "a.jsonl"
    lines = (json.dumps({"id": n, "tokens": t, "ner": g}) for n, (t, g) in enumerate(sentences(80)))
    file.write_text("\n".join(lines))
    data = load(Spec(data=str(file), target="ner"))
    assert data.task.problem is Problem.TAGGING
    assert [c.name for c in data.schema.features] == ["tokens"]


def test_lists_in_frames_and_parquet_are_tokens_and_tags(tmp_path):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(as_table(sentences(80)))
    frame.write_parquet(tmp_path / "a.parquet")
    one, other = (load(Spec(data=data, target="tags")) for data in (frame, str(tmp_path / "a.parquet")))
    assert one.fingerprint == other.fingerprint
    assert one.task.problem is Problem.TAGGING


def test_strings_with_spaces_are_tokens_where_the_spec_says_so():
    rows = list(sentences(80))
    data = {"text": [" ".join(t) for t, _ in rows], "tags": [" ".join(g) for _, g in rows]}
    found = load(Spec(data=data, target="tags", task="tagging", columns={"tokens": ["text"]}))
    assert found.rows.columns["text"][0] == rows[int(found.rows.rows[0])][0]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: d["tags"][3].pop(), "uneven_tags"),
        (lambda d: d["tags"].__setitem__(3, None), "missing_target"),
        (lambda d: d["tags"][3].__setitem__(0, None), "missing_target"),
        (lambda d: d.__setitem__("tokens", ["x"] * 80), "no_tokens"),
        (lambda d: d.__setitem__("tags", [["O"] * len(t) for t in d["tags"]]), "one_class"),
    ],
)
def test_tags_that_do_not_fit_stop_the_run_with_a_sentence(change, code):
    data = as_table(sentences(80))
    change(data)
    found = inspect(Spec(data=data, target="tags", task="tagging"))
    assert found.dataset is None
    assert code in codes(found.findings)


def test_untagged_sentences_are_left_out_where_the_spec_says_so():
    data = as_table(sentences(80))
    data["tags"][3][0] = None
    with pytest.raises(DataUnfit, match="nothing learns from tokens without tags; leave them out with"):
        load(Spec(data=data, target="tags", checks={"missing_target": "use"}))
    found = load(Spec(data=data, target="tags", checks={"missing_target": "drop"}))
    assert len(found.originals) == 79


def test_odd_sentences_are_told_about():
    data = as_table(sentences(80))
    data["tokens"].append([])
    data["tags"].append([])
    data["tokens"][2][1] = "x" * 10_000
    found = inspect(Spec(data=data, target="tags"))
    assert {"empty_rows", "long_token"} <= set(codes(found.findings))
    assert len(found.dataset.originals) == 80


def test_a_type_that_only_the_test_holds_is_told_about(folder):
    text = (folder / "test.conll").read_text().replace("B-per", "B-org", 3)
    (folder / "test.conll").write_text(text)
    sentences_of = [
        f.sentence for f in inspect(Spec(data=str(folder), target="tags")).findings if f.code == "unseen_class"
    ]
    assert len(sentences_of) == 1
    assert "'org'" in sentences_of[0]


def test_a_sentence_on_two_sides_is_told_about(folder):
    with (folder / "test.conll").open("a") as out:
        out.write((folder / "train.conll").read_text().split("\n\n")[0] + "\n\n")
    found = inspect(Spec(data=str(folder), target="tags"))
    assert "duplicates_across" in codes(found.findings)


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (("I-per", "O", "O", "I-loc", "O"), "IOB1"),
        (("S-per", "O", "O", "S-loc", "O"), "IOBES"),
        (("U-per", "O", "O", "U-loc", "O"), "BILOU"),
    ],
)
def test_another_scheme_is_read_as_iob2_and_said_so(tags, scheme):
    data = as_table(sentences(80))
    short = [i for i, row in enumerate(data["tokens"]) if len(row) == 5]
    data = {name: [cells[i] for i in short] for name, cells in data.items()}
    data["tags"] = [list(tags)] * len(short)
    found = inspect(Spec(data=data, target="tags"))
    told = [f.sentence for f in found.findings if f.code == "tag_scheme"]
    assert len(told) == 1
    assert scheme in told[0]
    assert found.dataset.task.classes == ("O", "B-loc", "I-loc", "B-per", "I-per")


def test_tags_that_keep_no_scheme_are_read_and_counted():
    data = as_table(sentences(80))
    data["tags"][1][3] = "I-loc"  # New York: I-loc I-loc, while other entities begin with B
    told = {f.code: f for f in inspect(Spec(data=data, target="tags")).findings}
    assert told["loose_tags"].numbers == {"entities": 1.0}


def test_parts_of_speech_are_judged_by_tokens():
    data = as_table(sentences(80))
    data["tags"] = [["NOUN", "VERB", "ADP", *["NOUN"] * (len(t) - 3)] for t in data["tokens"]]
    found = inspect(Spec(data=data, target="tags"))
    assert "plain_tags" in codes(found.findings)
    assert found.task.aim == "token_accuracy"


def test_tags_have_no_value_of_outcomes():
    data = as_table(sentences(80))
    with pytest.raises(SpecInvalid, match="tags have no outcomes"):
        load(Spec(data=data, target="tags", value={"right": "1 USD", "wrong": "-1 USD"}))


def test_lists_in_the_target_alone_are_several_labels_as_before():
    data = {"x": list(range(80)), "y": [["a", "b"]] * 40 + [["a"]] * 40}
    assert "multi_label" in codes(inspect(Spec(data=data, target="y")).findings)


def test_tokens_that_nobody_tags_are_refused():
    data = {"text": [" ".join(t) for t, _ in sentences(80)], "y": ["a", "b"] * 40}
    found = inspect(Spec(data=data, target="y", columns={"tokens": ["text"]}))
    assert "untagged_tokens" in codes(found.findings)
    assert found.dataset is None


def test_lists_are_refused_as_before_where_no_tokens_are_tagged():
    data = as_table(sentences(80)) | {"y": ["a", "b"] * 40}
    assert "nested_column" in codes(inspect(Spec(data=data, target="y")).findings)
