"""Front ends: the same tensors for one row and for many, and refusals that name the row."""

import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.feature_extraction.text import CountVectorizer

from steelyard.bundle.front_ends import FRONT_ENDS, pictures
from steelyard.bundle.front_ends.text import Analyser, analyse, count, read_vocabulary, write_vocabulary
from steelyard.contracts import Feed
from steelyard.data import decoding
from steelyard.errors import BundleRefused, RowsRefused

# ------------------------------------------------------------------------------- numbers and strings


def objects(*cells):
    array = np.empty(len(cells), object)
    array[:] = cells
    return array


def equal(one, many, row):
    assert one.keys() == many.keys()
    for name, tensor in one.items():
        assert tensor.dtype == many[name].dtype
        assert tensor.shape[0] == 1
        assert np.array_equal(tensor, many[name][row : row + 1], equal_nan=tensor.dtype.kind == "f")


def test_one_row_of_numbers_is_what_it_is_among_many():
    extract = FRONT_ENDS["numbers"](Feed("numbers", ("x",), ("b", "a")), {})
    columns = {"a": np.array([1.0, np.nan]), "b": np.array([1e9, -0.0]), "c": np.array([5.0, 5.0])}
    many = extract(columns)
    assert many["x"].dtype == np.float64
    assert many["x"].shape == (2, 2)
    for row in range(2):
        equal(extract.row({name: float(cells[row]) for name, cells in columns.items()}), many, row)


@pytest.mark.parametrize("names", [(), ("a",), ("a", "b")])
@pytest.mark.parametrize("front_end", ["numbers", "strings"])
def test_any_number_of_columns_is_read(front_end, names):
    extract = FRONT_ENDS[front_end](Feed(front_end, ("x",), names), {})
    columns = {"a": objects("1", "2", "3"), "b": objects("4", "5", "6")}
    assert extract(columns)["x"].shape == (3, len(names))
    assert extract.row({"a": "1", "b": "4"})["x"].shape == (1, len(names))


def test_a_missing_category_is_the_empty_string():
    extract = FRONT_ENDS["strings"](Feed("strings", ("s",), ("a", "b")), {})
    many = extract({"a": objects("x", None), "b": objects(None, "y")})
    assert many["s"].tolist() == [["x", ""], ["", "y"]]
    equal(extract.row({"a": "x", "b": None}), many, 0)


def test_a_missing_column_is_refused_with_the_nearest_name():
    extract = FRONT_ENDS["numbers"](Feed("numbers", ("x",), ("income",)), {})
    with pytest.raises(RowsRefused, match=r"lack column 'income' \(did you mean 'incomes'\?\)"):
        extract({"incomes": np.array([1.0])})


# ----------------------------------------------------------------------------------------------- text


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("", Analyser(), []),
        ("   ", Analyser(analyser="char"), []),
        ("Don't STOP_me 3.5", Analyser(), ["don", "t", "stop_me", "3", "5"]),
        ("Don't", Analyser(lowercase=False), ["Don", "t"]),
        ("a b c", Analyser(low=2, high=3), ["a b", "b c", "a b c"]),
        ("房间很好 ok", Analyser(high=2), ["房", "间", "很", "好", "ok", "房 间", "间 很", "很 好", "好 ok"]),
        ("カメラ", Analyser(), ["カ", "メ", "ラ"]),
        ("안녕 하세요", Analyser(), ["안녕", "하세요"]),
        ("привет мир", Analyser(), ["привет", "мир"]),
        ("cafe\u0301", Analyser(), ["café"]),
        ("Ｗｉｆｉ", Analyser(), ["wifi"]),  # noqa: RUF001
        ("\U00020000x", Analyser(), ["\U00020000", "x"]),
        ("ab", Analyser(analyser="char", low=1, high=3), ["a", "b", "ab"]),
        (" a \t\n b ", Analyser(analyser="char", low=3, high=3), ["a b"]),
    ],
)
def test_text_is_cut_as_said(text, options, expected):
    assert analyse(text, options) == expected


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=60), st.integers(1, 3), st.integers(0, 2))
def test_words_are_those_of_scikit_learn(text, low, more):
    theirs = CountVectorizer(ngram_range=(low, low + more), token_pattern=r"(?u)\b\w+\b").build_analyzer()
    assert sorted(analyse(text, Analyser(low=low, high=low + more))) == sorted(theirs(text))


@given(st.text(alphabet="ab 客\n", max_size=30), st.integers(1, 4), st.integers(0, 2))
def test_characters_are_those_of_scikit_learn(text, low, more):
    theirs = CountVectorizer(analyzer="char", ngram_range=(low, low + more)).build_analyzer()
    ours = analyse(text, Analyser(analyser="char", low=low, high=low + more))
    assert sorted(ours) == sorted(theirs(" ".join(text.split())))


@given(st.lists(st.text(alphabet="abc 客", max_size=12), min_size=1, max_size=6))
def test_counts_are_the_tallies_padded(texts):
    vocabulary = {"a": 0, "b": 1, "客": 2, "a b": 3}
    ids, counts = count(texts, vocabulary, Analyser(high=2))
    assert ids.shape == counts.shape
    assert ids.dtype == np.int64
    assert counts.dtype == np.float32
    assert ids.shape[1] == max(1, int((counts > 0).sum(axis=1).max()))
    for row, text in enumerate(texts):
        found = [gram for gram in analyse(text, Analyser(high=2)) if gram in vocabulary]
        assert dict(zip(ids[row], counts[row], strict=True)) | {4: 0.0} == {
            4: 0.0,
            **{vocabulary[gram]: float(found.count(gram)) for gram in found},
        }


def test_one_text_is_what_it_is_among_others():
    files = {"v.json": write_vocabulary(["late", "kind", "very"])}
    feed = Feed("counts", ("i", "c"), ("note",), {"vocabulary": "v.json", **Analyser().options()})
    extract = FRONT_ENDS["counts"](feed, files)
    texts = ["late late kind", "", "nothing known"]
    many = extract({"note": objects(*texts)})
    assert many["i"].tolist() == [[0, 1], [3, 3], [3, 3]]
    for row, text in enumerate(texts):
        one = extract.row({"note": text})
        size = one["i"].shape[1]
        assert one["i"].dtype == many["i"].dtype
        assert one["c"].dtype == many["c"].dtype
        assert one["i"][0].tolist() == many["i"][row, :size].tolist()
        assert one["c"][0].tolist() == many["c"][row, :size].tolist()


@pytest.mark.parametrize("grams", [[], ["客", "a b"], ["\ud800"]])
def test_a_vocabulary_is_read_back(grams):
    assert read_vocabulary(write_vocabulary(grams)) == {gram: number for number, gram in enumerate(grams)}


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'["a", "a"]', b"\xff\xff", b"[" * 10])
def test_a_vocabulary_out_of_shape_is_refused(content):
    with pytest.raises(BundleRefused, match="the vocabulary"):
        read_vocabulary(content)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "needs option 'vocabulary'"),
        ({"vocabulary": "w.json"}, r"needs file 'w.json', which is not there \(did you mean 'v.json'"),
        ({"vocabulary": "v.json", "hihg": 2}, r"no option 'hihg' \(did you mean 'high'"),
        ({"vocabulary": "v.json", "high": "2"}, "option 'high' must be a int"),
        ({"vocabulary": "v.json", "high": 0}, "1 <= low <= high"),
        ({"vocabulary": "v.json", "analyser": "words"}, "must be 'word' or 'char'"),
    ],
)
def test_options_of_text_that_do_not_fit_are_refused(options, sentence):
    with pytest.raises(BundleRefused, match=sentence):
        FRONT_ENDS["counts"](Feed("counts", ("i", "c"), ("note",), options), {"v.json": b"[]"})


# --------------------------------------------------------------------------------------------- images


def image(height=8, width=8, channels=3):
    options = {"height": height, "width": width, "channels": channels}
    return FRONT_ENDS["image"](Feed("image", ("p",), ("photo",), options), {})


def encoded(picture, kind="PNG", **more):
    file = io.BytesIO()
    picture.save(file, kind, **more)
    return file.getvalue()


def colours(side=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def one(extract, source):
    return extract.row({"photo": source})["p"][0]


def test_every_way_to_give_an_image_gives_the_same_pixels(tmp_path):
    pixels = colours()
    content = encoded(Image.fromarray(pixels))
    (tmp_path / "a.png").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("in/b.png", content)
    sources = [str(tmp_path / "a.png"), f"{tmp_path}/a.zip::in/b.png", content, pixels, Image.fromarray(pixels)]
    tensor = image()({"photo": objects(*sources)})["p"]
    assert tensor.dtype == np.uint8
    assert tensor.shape == (5, 3, 8, 8)
    for row, source in enumerate(sources):
        assert np.array_equal(tensor[row], pixels.transpose(2, 0, 1))
        assert np.array_equal(one(image(), source), tensor[row])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I"])
def test_every_mode_is_brought_to_the_channels_asked_for(mode, channels):
    grey = np.full((6, 9), 200, np.uint8)
    if mode in {"I;16", "I"}:
        picture = Image.fromarray((grey.astype(np.uint16) << 8) + 7)
        picture = picture.convert("I") if mode == "I" else picture
    else:
        picture = Image.fromarray(np.stack([grey] * 3, axis=2))
        picture = picture.quantize() if mode == "P" else picture.convert(mode)
    pixels = one(image(6, 9, channels), picture)
    assert pixels.shape == (channels, 6, 9)
    assert abs(pixels.astype(int) - (255 if mode == "1" else 200)).max() <= (255 if mode == "1" else 2)


def test_sixteen_bits_keep_their_upper_byte_and_files_agree_with_arrays():
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    file = encoded(Image.fromarray(values))
    assert np.array_equal(one(image(channels=1), file)[0], values >> 8)
    assert np.array_equal(one(image(channels=1), values)[0], values >> 8)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode):
    picture = Image.new("RGBA", (8, 8), (10, 20, 30, 0))
    pixels = one(image(), encoded(picture.convert(mode)))
    assert (pixels == 255).all()


def test_a_picture_taken_on_its_side_is_turned_upright():
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = one(image(), encoded(Image.fromarray(pixels), exif=exif))
    assert (turned[:, -1] == 255).all()
    assert (turned[:, 0] == 0).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_resized_to_what_the_graph_asks_for(channels):
    assert one(image(5, 11, channels), colours(40)).shape == (channels, 5, 11)
    assert abs(int(one(image(5, 11, channels), np.full((40, 30), 99, np.uint8)).mean()) - 99) == 0


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (b"no image", "is not an image that Pillow can read"),
        (encoded(Image.fromarray(colours()))[:-60], "cannot be decoded"),
        (encoded(Image.fromarray(colours(64)), "JPEG")[:300], "cannot be decoded|not an image"),
        (b"", "is not an image"),
        ("nowhere.png", "there is no image file 'nowhere.png'"),
        ("nowhere.zip::a.png", "archive 'nowhere.zip' cannot be opened: No such file"),
        ("", "the image is missing"),
        (None, "the image is missing"),
        (3.5, "got float"),
        (np.zeros((2, 2)), "got float64 of shape"),
        (np.zeros((2, 2, 2), np.uint8), "of shape"),
        (np.zeros((0, 2), np.uint8), "of shape"),
        (Image.new("F", (4, 4)), "no agreed range"),
    ],
)
def test_an_image_that_cannot_be_read_is_refused_with_its_row(source, sentence):
    with pytest.raises(RowsRefused, match=f"row 1 .from 0. of column 'photo': .*({sentence})") as caught:
        image()({"photo": objects(colours(), source)})
    assert "\n" not in str(caught.value)


def test_a_member_that_is_not_in_its_archive_is_refused_with_the_nearest(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("cat.png", b"x")
    with pytest.raises(RowsRefused, match=r"holds no 'cats.png' \(did you mean 'cat.png'"):
        one(image(), f"{tmp_path}/a.zip::cats.png")
    (tmp_path / "b.zip").write_bytes(b"no zip")
    with pytest.raises(RowsRefused, match="cannot be read from its archive"):
        one(image(), f"{tmp_path}/b.zip::x")


def test_a_member_that_unpacks_to_too_much_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "_LARGEST_MEMBER", 10)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big.png", b"0" * 1_000)
    with pytest.raises(RowsRefused, match=r"'big.png' unpacks to 1,000 bytes; the most is 10"):
        one(image(), f"{tmp_path}/a.zip::big.png")


def test_a_file_that_unpacks_to_an_absurd_size_is_refused(monkeypatch):
    monkeypatch.setattr(decoding, "MOST_PIXELS", 63)
    with pytest.raises(RowsRefused, match=r"unpacks to more than .* million pixels; make it smaller"):
        one(image(), encoded(Image.fromarray(colours())))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"height": 8, "width": 8}, "needs option 'channels'"),
        ({"height": 8, "width": 8, "channels": 2}, "channels must be 1 or 3"),
        ({"height": 0, "width": 8, "channels": 3}, "height must be 1 to 4096"),
        ({"height": 8, "width": 8.0, "channels": 3}, "width must be 1 to 4096"),
    ],
)
def test_options_of_images_that_do_not_fit_are_refused(options, sentence):
    with pytest.raises(BundleRefused, match=sentence):
        FRONT_ENDS["image"](Feed("image", ("p",), ("photo",), options), {})


def test_large_images_come_in_small_batches():
    assert image(8, 8, 1).batch > image(224, 224, 3).batch >= 8


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_every_front_end_refuses_a_feed_with_too_many_inputs(name):
    with pytest.raises(BundleRefused, match="graph inputs"):
        FRONT_ENDS[name](Feed(name, ("a", "b", "c", "d", "e"), ("x",)), {})


def test_feeds_survive_json():
    options = {"vocabulary": "v.json", **Analyser(high=3).options()}
    assert json.loads(json.dumps(options)) == options
