"""One rule for each way in which an image may be odd: what the checks of a run leave out is what serving refuses."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.contracts import Feed
from steelyard.data import decoding, load
from steelyard.data.pictures import judge
from steelyard.errors import DataUnfit, RowsRefused

SIDE = 12


def served(source, channels=3, *, side=SIDE, draft=False):
    options = {"height": side, "width": side, "channels": channels, "draft": draft}
    return FRONT_ENDS["image"](Feed("image", ("p",), ("photo",), options), {}).row({"photo": source})["p"][0]


def left_out(content):
    """Tell whether the checks of a run leave an image out."""
    cells = np.empty(40, object)
    cells[:] = file(photo(1))
    cells[3] = content
    bad, findings = judge("photo", cells)
    assert (bad is None) == (not findings)
    return bad is not None and bad.tolist() == [row == 3 for row in range(40)]


def photo(seed=0, side=SIDE):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8))


def file(picture, kind="PNG", **more):
    stream = io.BytesIO()
    picture.save(stream, kind, **more)
    return stream.getvalue()


def png(width, height, *, kind=2, depth=8):
    """Return a PNG that says it is of some size and has no pixels."""
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


REFUSED = {
    "no bytes": b"",
    "text": b"this is no image",
    "cut off PNG": file(photo())[:-60],
    "cut off JPEG": file(photo(side=64), "JPEG")[:-200],
    "damaged PNG": file(photo())[:60] + b"\x00" * 20 + file(photo())[80:],
    "no pixels": png(SIDE, SIDE),
    "floating-point": file(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"),
    "a bomb": png(30_000, 30_000),
    "a smaller bomb": png(9_000, 9_000),
    "a program for Ghostscript": file(photo(), "EPS"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_training_leaves_out_serving_refuses(what):
    assert left_out(REFUSED[what])
    with pytest.raises(RowsRefused, match="row 0"):
        served(REFUSED[what])


def frames(kind):
    more = {"lossless": True} if kind == "WEBP" else {}
    return file(photo(0), kind, save_all=True, append_images=[photo(1), photo(2)], **more)


def gentle(kind="RGB"):
    """Return a picture whose colours survive other spaces: a plain one."""
    return Image.new(kind, (SIDE, SIDE), (200, 60, 20) if kind == "RGB" else 90)


TAKEN = {
    "CMYK": (file(gentle().convert("CMYK"), "JPEG", quality=95), (200, 60, 20), 12),
    "LAB": (file(Image.new("LAB", (SIDE, SIDE), (128, 128, 128)), "TIFF"), (119, 119, 119), 3),
    "16 bits": (file(Image.fromarray(np.full((SIDE, SIDE), 0x5AFF, np.uint16))), (90, 90, 90), 0),
    "1 bit": (file(Image.new("1", (SIDE, SIDE), 1)), (255, 255, 255), 0),
    "palette": (file(gentle().quantize()), (200, 60, 20), 2),
    "clear palette": (file(gentle().quantize(), transparency=0), (255, 255, 255), 0),
    "clear": (file(Image.new("RGBA", (SIDE, SIDE), (1, 2, 3, 0))), (255, 255, 255), 0),
    "half clear": (file(Image.new("LA", (SIDE, SIDE), (0, 128))), (127, 127, 127), 1),
    "one pixel": (file(gentle().resize((1, 1))), (200, 60, 20), 0),
    "a line": (file(gentle().resize((300, 1))), (200, 60, 20), 0),
}


@pytest.mark.parametrize("what", TAKEN)
def test_what_training_takes_serving_reads_as_the_rule_says(what):
    content, colour, apart = TAKEN[what]
    assert not left_out(content)
    pixels = served(content).astype(int)
    assert abs(pixels - np.array(colour)[:, None, None]).max() <= apart


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_of_several_frames_the_first_counts(kind):
    many, first = frames(kind), file(photo(0), "GIF" if kind == "GIF" else "PNG")
    assert not left_out(many)
    assert abs(served(many).astype(int) - served(first).astype(int)).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_turned_upright_as_pillow_does_it(orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    content = file(photo(), exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    np.testing.assert_array_equal(served(content), expected.transpose(2, 0, 1))


@pytest.mark.parametrize("exif", [b"Exif\x00\x00nonsense", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"\x00" * 40])
@pytest.mark.filterwarnings("ignore")
def test_damaged_exif_turns_nothing_and_refuses_nothing(exif):
    content = file(photo(), "JPEG", exif=exif)
    assert not left_out(content)
    np.testing.assert_array_equal(served(content), served(file(photo(), "JPEG")))


def test_bombs_are_refused_before_they_are_decoded(monkeypatch):
    def never(*_):
        raise AssertionError("it was decoded")

    monkeypatch.setattr(decoding, "loaded", never)
    with pytest.raises(ValueError, match="more than 67 million pixels; make it smaller"):
        decoding.decoded(io.BytesIO(png(9_000, 9_000)), "it")


def test_pictures_in_memory_are_trained_on_as_they_are_served(spec):
    exif = Image.Exif()
    exif[0x0112] = 6
    clear = Image.new("RGBA", (SIDE, SIDE), (9, 9, 9, 0))
    deep = Image.fromarray(np.full((SIDE, SIDE), 0x5AFF, np.int32))
    turned = Image.open(io.BytesIO(file(photo(5), exif=exif)))
    cells = [*(np.asarray(photo(i)) for i in range(21)), clear, clear.convert("LA"), deep, turned]
    cells.append(np.full((SIDE, SIDE, 1), 0x5AFF, np.uint16))
    data = load(spec({"photo": cells, "y": ["a", "b"] * 13}))
    for given, kept in zip(cells, data.rows.columns["photo"], strict=True):
        np.testing.assert_array_equal(served(kept), served(given))


@pytest.mark.parametrize("cell", [np.zeros((4, 4)), np.zeros((4, 4, 2), np.uint8), Image.new("F", (4, 4))])
def test_an_array_in_memory_that_is_no_image_stops_a_run_with_its_row(spec, cell):
    cells = [*(np.asarray(photo(i)) for i in range(23)), cell]
    with pytest.raises(DataUnfit, match=r"row 23 .from 0. of column 'photo'"):
        load(spec({"photo": cells, "y": ["a", "b"] * 12}, columns={"image": ["photo"]}))


def test_a_large_jpeg_decoded_small_looks_the_same():
    waves = np.sin(np.arange(400) / 40)[:, None] * np.cos(np.arange(400) / 40) * 100 + 120
    content = file(Image.fromarray(waves.astype(np.uint8)), "JPEG", quality=95)
    whole, small = (served(content, 1, draft=draft).astype(int) for draft in (False, True))
    assert 0 < abs(whole - small).max() <= 6


def test_random_damage_is_refused_or_taken_but_never_an_error_of_another_kind():
    random = np.random.default_rng(0)
    sources = [file(photo(side=24), kind) for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM", "ICO")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for content in sources * 12:
            damaged = bytearray(content)
            for place in random.integers(0, len(content), 6):
                damaged[place] = random.integers(0, 256)
            alike = left_out(bytes(damaged))
            try:
                served(bytes(damaged))
            except RowsRefused:
                continue
            assert not alike
