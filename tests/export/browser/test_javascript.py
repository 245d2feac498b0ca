"""The JavaScript under node: cells, n-grams, tokens, pixels and rules are those of Python, on shared vectors."""

import json
import math
import shutil
import string
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from PIL import Image

from steelyard.bundle.cells import reader
from steelyard.bundle.front_ends.text import Analyser, analyse
from steelyard.bundle.front_ends.tokenizing import read_tokenizer
from steelyard.bundle.rules import answer_of, apply_rule
from steelyard.bundle.scores import sureness
from steelyard.contracts import Amount, Kind, Problem, Task
from steelyard.data.coerce import NotThisKind
from steelyard.data.decoding import flat
from steelyard.export.browser.linking import library
from steelyard.export.browser.tokenisers import read_tokeniser
from steelyard.learners.nets.vocabulary import learn

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")
NAMES = {
    "cells.js": "rowReader",
    "ngrams.js": "analyse",
    "tokenizer.js": "tokenizerOf",
    "resize.js": "resize",
    "pictures.js": "laidOnWhite, planesOf",
    "rules.js": "joinerOf, answerOf",
}
JOINED = """
export const joined = (rule, task, answers) => joinerOf(rule, task)(
  async (member, some) => (some ? some.map((row) => answers[member][row]) : answers[member]),
);
"""
VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_bytes())
TEXTS, CELLS = VECTORS["texts"], VECTORS["cells"]


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Calls functions of a module; each call is the name of a function and lists of arguments, one list a bracket."""
    folder = tmp_path_factory.mktemp("modules")
    for module, names in NAMES.items():
        text = library(module, names) + (JOINED if module == "rules.js" else "")
        (folder / module).with_suffix(".mjs").write_text(text, encoding="utf-8")

    def made(module, several):
        place = (folder / module).with_suffix(".mjs").as_uri()
        asked = json.dumps({"module": place, "calls": [[name, *given] for name, *given in several]})
        done = subprocess.run(
            [NODE, Path(__file__).with_name("call.mjs")], input=asked, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return made


def told(said):
    """Return what a call returned; a refusal as its name."""
    if "refused" in said:
        return said["refused"]
    value = said["value"]
    return float(value["number"]) if isinstance(value, dict) and set(value) == {"number"} else value


NOTATIONS = {
    Kind.NUMBER: ("", "1.234,5 €", "$1,234.5", "1234.5%", "1 234,5", "1'234.5", "1234,5"),
    Kind.TIME: ("", "day/month/year", "month/day/year", "yyyymmdd", "milliseconds", "day/month/year yyyymmdd"),
    Kind.CATEGORY: ("",),
    Kind.TEXT: ("",),
}


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("kind", NOTATIONS)
def test_cells_are_read_as_in_python(calls, kind, lenient):
    if lenient and kind in {Kind.CATEGORY, Kind.TEXT}:
        pytest.skip("only numbers and times are lenient")
    cases = [(notation, cell) for notation in NOTATIONS[kind] for cell in CELLS]
    columns = {n: [{"name": "x", "kind": kind.value, "notation": n, "lenient": lenient}] for n in NOTATIONS[kind]}
    said = calls("cells.js", [("rowReader", [columns[notation]], [[{"x": cell}]]) for notation, cell in cases])
    for (notation, cell), one in zip(cases, said, strict=True):
        try:
            expected = reader(kind, notation, lenient=lenient)(cell)
        except NotThisKind:
            expected = "RowsRefused"
        got = told(one) if "refused" in one else told({"value": one["value"][0]["x"]})
        if isinstance(expected, float) and math.isnan(expected):
            assert isinstance(got, float), (notation, cell, got)
            assert math.isnan(got), (notation, cell, got)
        else:
            assert got == expected, (notation, cell)


def test_a_row_that_does_not_fit_is_named(calls):
    columns = [{"name": "age", "kind": "number", "notation": "", "lenient": False}]
    rows = [[{"age": 1}, {"age": "old"}]], [[{"age": 1}, {}]], [[3]]
    said = calls("cells.js", [("rowReader", [columns], given) for given in rows])
    assert "row 1 (from 0) of column 'age' holds 'old', which is not a number" in said[0]["message"]
    assert "row 1 (from 0) lacks column 'age'" in said[1]["message"]
    assert "row 0 (from 0) is no object" in said[2]["message"]


def noise(count, seed=5):
    """Return texts of signs from everywhere that Unicode has them, assigned in the oldest version that is in use."""
    random = np.random.default_rng(seed)
    blocks = [
        range(0x20, 0x7F),
        range(0xA0, 0x250),
        range(0x370, 0x530),
        range(0x4E00, 0x4F00),
        range(0x1F600, 0x1F640),
    ]
    blocks += [
        range(0x900, 0x980),
        range(0x2000, 0x2070),
        range(0xAC00, 0xAD00),
        range(0xFF01, 0xFF60),
        range(0x300, 0x340),
    ]
    made = []
    for _ in range(count):
        several = [blocks[random.integers(len(blocks))] for _ in range(6)]
        codes = [int(random.choice(several[random.integers(6)])) for _ in range(random.integers(1, 40))]
        made.append("".join(chr(code) + (" " if random.random() < 0.2 else "") for code in codes))
    return made


@pytest.mark.parametrize(
    "options",
    [Analyser(high=2), Analyser(lowercase=False), Analyser(low=2, high=3), Analyser(analyser="char", low=1, high=3)],
    ids=str,
)
def test_texts_are_cut_into_the_same_n_grams(calls, options):
    texts = TEXTS + noise(150)
    said = calls("ngrams.js", [("analyse", [text, options.options()]) for text in texts])
    assert [one["value"] for one in said] == [analyse(text, options) for text in texts]


@cache
def own_vocabulary():
    return learn([*TEXTS[:20], *noise(40, 8), *string.ascii_lowercase] * 2, size=600, least=2)


def word_pieces(**normalizer):
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *string.ascii_lowercase,
        *("##" + c for c in string.ascii_lowercase),
    ]
    words += [
        "the",
        "cat",
        "##at",
        "cafe",
        "不",
        "错",
        "好",
        "!",
        ",",
        "[",
        "]",
        "##ing",
        "stop",
        "don",
        "'",
        "\u03c3",
        "##\u03c3",
        "ss",
    ]
    library_ = tokenizers.models.WordPiece({word: place for place, word in enumerate(words)}, unk_token="[UNK]")
    made = tokenizers.Tokenizer(library_)
    made.normalizer = tokenizers.normalizers.BertNormalizer(**normalizer)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made.to_str().encode()


def word_level():
    model = tokenizers.models.WordLevel({"[UNK]": 0, "the": 1, "cat": 2, "stop": 3, "!": 4}, unk_token="[UNK]")
    made = tokenizers.Tokenizer(model)
    made.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.NFKC(), tokenizers.normalizers.Lowercase()]
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return made.to_str().encode()


TOKENISERS = {
    "our own": own_vocabulary,
    "uncased": word_pieces,
    "cased": lambda: word_pieces(lowercase=False),
    "accents": lambda: word_pieces(strip_accents=False),
    "no Chinese": lambda: word_pieces(handle_chinese_chars=False, clean_text=False),
    "words": word_level,
}


@pytest.mark.parametrize("length", [6, 40])
@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("kind", TOKENISERS)
def test_texts_are_cut_into_the_same_tokens(calls, kind, pair, length):
    content = TOKENISERS[kind]()
    theirs = read_tokenizer(content, name="it", length=length, pair=pair)
    texts = TEXTS + noise(100)
    rows = list(zip(texts, reversed(texts), strict=True)) if pair else [(text,) for text in texts]
    file = read_tokeniser(content)
    (said,) = calls("tokenizer.js", [("tokenizerOf", [file, length, pair], {"each": [[row] for row in rows]})])
    for row, one in zip(rows, said["value"], strict=True):
        read = [text.encode("utf-8", "replace").decode()[: 100 * length] for text in row]
        found = theirs.encode(*read)
        assert one == {"ids": found.ids, "types": found.type_ids}, row


@pytest.mark.slow
def test_characters_are_of_the_classes_that_the_library_has(calls):
    """Every code point, between two letters: removed, kept, parted, or alone."""
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    vocabulary = {"[UNK]": 0, "a": 1, "##a": 2, "##b": 3, "b": 4}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    texts = [
        "\n".join(f"a{chr(code)}b" for code in codes[start : start + 5000]) for start in range(0, len(codes), 5000)
    ]
    file = read_tokeniser(made.to_str().encode())
    said = calls("tokenizer.js", [("tokenizerOf", [file, 40_000, False], {"each": [[[text]] for text in texts]})])
    for text, one in zip(texts, said[0]["value"], strict=True):
        assert one["ids"] == made.encode(text).ids


SIZES = (
    ((28, 28), (28, 28)),
    ((31, 47), (28, 28)),
    ((640, 333), (64, 48)),
    ((5, 3), (64, 64)),
    ((1, 9), (7, 2)),
    ((300, 20), (20, 300)),
)


@pytest.mark.parametrize(("size", "to"), SIZES)
def test_images_are_resized_as_pillow_does(calls, size, to):
    """To one level: for some sizes Pillow 13 returns what columns before rows give, for others rows before columns."""
    random = np.random.default_rng(3)
    levels = random.integers(0, 256, size[::-1]).astype(np.uint8)
    expected = np.asarray(Image.fromarray(levels).resize(to, Image.Resampling.BILINEAR))
    sides = [{"width": w, "height": h} for w, h in (size, to)]
    (said,) = calls("resize.js", [("resize", [{"bytes": levels.ravel().tolist()}, *sides])])
    off = np.abs(np.array(said["value"]) - expected.ravel().astype(int))
    assert off.max() <= 1
    if size[0] > size[1]:
        assert not off.any()


def test_colours_become_grey_and_lie_on_white_as_in_pillow(calls):
    random = np.random.default_rng(4)
    pixels = random.integers(0, 256, (16, 16, 4)).astype(np.uint8)
    pixels[:4, :, 3], pixels[4:8, :, 3] = 0, 255
    image = flat(Image.fromarray(pixels))
    (laid,) = calls("pictures.js", [("laidOnWhite", [{"bytes": pixels.ravel().tolist()}])])
    assert np.array(laid["value"]).reshape(16, 16, 4)[..., :3].tolist() == np.asarray(image).tolist()
    grey, colours = calls("pictures.js", [("planesOf", [{"bytes": laid["value"]}, n]) for n in (1, 3)])
    assert grey["value"][0] == np.asarray(image.convert("L")).ravel().tolist()
    assert np.array(colours["value"]).tolist() == np.asarray(image).reshape(-1, 3).T.tolist()


CLASSES = ("a", "b", "c")
VALUE = ((0.0, -10.0, 2.0), (-3.0, 5.0, 0.0), (1.0, -1.0, 4.0))
AMOUNTS = (
    Amount("loan", ((0.0, 0.1, 0.0), (-1.0, 0.0, 0.2), (0.0, 0.0, 0.5)), known=True, means=(5.0, 6.0, 7.0), high=90.0),
    Amount("fee", ((0.5, 0.0, 0.0), (0.0, 0.1, 0.0), (0.0, 0.0, 1.0)), means=(2.0, 3.0, 4.0), high=9.0),
)
MULTI = Task(problem=Problem.MULTICLASS, target="y", aim="accuracy", classes=CLASSES)
WORTH = Task(problem=Problem.MULTICLASS, target="y", aim="value", classes=CLASSES, value=VALUE, amounts=AMOUNTS)
PAIR = Task(problem=Problem.BINARY, target="y", aim="value", classes=("n", "y"), positive="y", value=((0, -1), (-9, 2)))
NUMBER = Task(problem=Problem.REGRESSION, target="y", aim="rmse")
CURVES = [{"from": [0.1, 0.4, 0.9], "to": [0.2, 0.3, 0.8]}] * 3
RULES = (
    (MULTI, 3, {"rule": "blend", "weights": [1, 2.5, 0]}),
    (MULTI, 2, {"rule": "pool", "weights": [0.7, 0], "offsets": [0.1, 0, -0.2]}),
    (NUMBER, 2, {"rule": "pool", "weights": [0.7, 0.4], "offsets": [3.0]}),
    (MULTI, 1, {"rule": "temperature", "at": 1.7}),
    (MULTI, 1, {"rule": "isotonic", "curves": CURVES}),
    (PAIR, 1, {"rule": "isotonic", "curves": CURVES[:1]}),
    (PAIR, 1, {"rule": "threshold", "positive": 1, "at": 0.15}),
    (PAIR, 1, {"rule": "odds", "positive": 1, "times": 3.0}),
    (NUMBER, 1, {"rule": "line", "plus": 2.0, "times": 1.1}),
    *((MULTI, 2, {"rule": "cascade", "measure": measure}) for measure in ("margin", "confidence")),
    *((WORTH, 2, {"rule": "cascade", "measure": measure}) for measure in ("worth", "regret", "margin")),
)


@pytest.mark.parametrize(
    ("task", "members", "rule"), RULES, ids=lambda part: part["rule"] if isinstance(part, dict) else ""
)
def test_members_are_joined_as_in_python(calls, task, members, rule):
    random = np.random.default_rng(11)
    rows, width = 60, task.width
    amounts = np.column_stack([random.uniform(0, 99, rows), np.full(rows, np.nan)]) if task.amounts else None
    scores = [
        random.normal(size=(rows, 1)) if task is NUMBER else random.dirichlet(np.ones(width), rows)
        for _ in range(members)
    ]
    if rule["rule"] == "cascade":
        rule = rule | {"at": float(np.median(sureness(rule["measure"], scores[0], task, amounts)))}
    expected = apply_rule(rule, [answer_of(task, each, amounts) for each in scores], task)
    stakes = [None] * rows if amounts is None else [[row[0], {"number": "NaN"}] for row in amounts.tolist()]
    plain = {"problem": task.problem.value, "classes": task.classes, "value": task.value, "amounts": []}
    plain["amounts"] = [{n: getattr(a, n) for n in ("column", "times", "known", "means", "high")} for a in task.amounts]
    decided = [
        calls("rules.js", [("answerOf", [plain, row, stake]) for row, stake in zip(each.tolist(), stakes, strict=True)])
        for each in scores
    ]
    answers = [[one["value"] for one in member] for member in decided]
    (said,) = calls("rules.js", [("joined", [rule, plain, answers])])
    got = said["value"]
    assert np.abs(np.array([each["scores"] for each in got]) - expected.scores).max() < 1e-12
    assert np.abs(np.array([each["decided"] for each in got]) - expected.decided).max() < 1e-9
    if rule["rule"] == "cascade":
        assert [each["member"] for each in got] == expected.members.tolist()
        assert 0 < expected.members.mean() < 1
