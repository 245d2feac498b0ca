import contextlib
import io
import struct
import wave

import numpy as np
import pytest
from scipy.io import wavfile

from steelyard.data.waves import A_LAW, EXTENSIBLE, FLOAT, MU_LAW, PCM, decode, encode, look

GUID = bytes.fromhex("000000001000800000aa00389b71")


def wav(raw, *, form=PCM, bits=16, channels=1, rate=8000, size=None, before=b"", extensible=False):
    """A wav file, its header written by hand."""
    width = channels * bits // 8
    head = struct.pack("<HHIIHH", EXTENSIBLE if extensible else form, channels, rate, rate * width, width, bits)
    if extensible:
        head += struct.pack("<HHIH", 22, bits, 0, form) + GUID
    chunks = b"fmt " + struct.pack("<I", len(head)) + head + before
    chunks += b"data" + struct.pack("<I", len(raw) if size is None else size) + raw
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def written(samples, bits):
    """PCM as the standard library writes it."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(bits // 8)
        out.setframerate(16000)
        whole = np.round(np.asarray(samples) * 2 ** (bits - 1)).astype(int)
        out.writeframes(
            b"".join(int(s + (128 if bits == 8 else 0)).to_bytes(bits // 8, "little", signed=bits > 8) for s in whole)
        )
    return file.getvalue()


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_whole_numbers_of_every_width_are_read_as_the_standard_library_writes_them(bits):
    samples = np.array([0.0, 0.5, -0.25, -1.0, 0.984375])
    got, rate = decode(written(samples, bits))
    np.testing.assert_allclose(got, samples, atol=2.0**-bits)
    assert rate == 16000


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16, np.int32, np.uint8])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_files_are_read_as_scipy_reads_them(kind, channels):
    random = np.random.default_rng(0)
    table = random.uniform(-1, 1, (50, channels))
    whole = {np.int16: 2**15, np.int32: 2**31, np.uint8: 2**7}.get(kind)
    given = (
        table.astype(kind)
        if whole is None
        else np.asarray(table * (whole - 1) + (128 if kind is np.uint8 else 0)).astype(kind)
    )
    file = io.BytesIO()
    wavfile.write(file, 11025, given)
    rate, back = wavfile.read(io.BytesIO(file.getvalue()))
    expected = back.astype(float)
    if whole is not None:
        expected = (expected - (128 if kind is np.uint8 else 0)) / whole
    got, own = decode(file.getvalue())
    np.testing.assert_allclose(got, expected.reshape(50, -1).mean(axis=1), atol=1e-12)
    assert own == rate == 11025


def test_the_laws_of_telephones_are_those_of_the_recommendation():
    mu, _ = decode(wav(bytes([0xFF, 0x7F, 0x80, 0x00, 0xF0, 0xEF]), form=MU_LAW, bits=8))
    assert (mu * 2**15).tolist() == [0, 0, 32124, -32124, 120, 132]
    a, _ = decode(wav(bytes([0xD5, 0x55, 0xAA, 0x2A, 0xD4, 0xC5]), form=A_LAW, bits=8))
    assert (a * 2**15).tolist() == [8, -8, 32256, -32256, 24, 264]


def test_an_extensible_header_is_read_and_one_of_an_unknown_kind_refused():
    raw = np.array([0.25, -0.5], "<f4").tobytes()
    content = wav(raw, form=FLOAT, bits=32, extensible=True)
    assert decode(content)[0].tolist() == [0.25, -0.5]
    with pytest.raises(ValueError, match="extensible format that is not known"):
        look(content.replace(GUID, GUID[::-1]))


def test_other_chunks_are_stepped_over_with_their_padding():
    odd = b"LIST" + struct.pack("<I", 3) + b"abc" + b"\0"
    assert decode(wav(b"\0\x40", before=odd) + odd)[0].tolist() == [0.5]


def test_a_header_that_lies_about_its_length_is_not_believed():
    raw = encode(np.full(100, 0.5), 8000)[44:]
    for said, missing in ((len(raw) + 60, 30), (0xFFFFFFFF, 0), (0, 0)):
        header = look(wav(raw, size=said))
        assert (header.frames, header.missing) == (100, missing)
        assert len(decode(wav(raw, size=said))[0]) == 100
    cut = look(wav(raw)[:-11])
    assert (cut.frames, cut.missing) == (94, 6)  # half a sample at the end is none
    assert look(wav(raw, size=20)).frames == 10


def test_of_a_long_recording_the_middle_is_read():
    samples = np.arange(1000) / 1000
    got, _ = decode(encode(samples, 4000), most=0.1)
    np.testing.assert_allclose(got, samples[300:700], atol=1e-4)
    assert len(decode(encode(samples, 4000), most=0.25)[0]) == 1000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"RIFF", "no wav file"),
        (b"fLaC" + bytes(40), "is FLAC"),
        (b"ID3" + bytes(40), "is MP3"),
        (b"RF64" + bytes(40), "more than 4 GB"),
        (b"RIFF\0\0\0\0WAVE", "no samples"),
        (wav(b""), "no samples"),
        (wav(b"\0"), "no samples"),
        (wav(b"\0\0", form=0x55), r"compressed \(format 85, MP3\)"),
        (wav(b"\0\0", form=0x11), "IMA ADPCM"),
        (wav(b"\0\0", bits=12), "12 bits"),
        (wav(b"\0\0", channels=0), "0 channels"),
        (wav(b"\0\0", rate=100), "100 samples a second"),
        (wav(b"\0\0", rate=0), "0 samples a second"),
        (wav(np.array([0.1, np.nan], "<f4").tobytes(), form=FLOAT, bits=32), "1 samples that are no number"),
        (wav(np.array([0.1, -np.inf], "<f8").tobytes(), form=FLOAT, bits=64), "no number"),
        (wav(np.array([0.1, 1e30], "<f4").tobytes(), form=FLOAT, bits=32), "full scale is 1"),
        (wav(b"\0\0")[:30], "cut off"),
        (wav(b"\0\0")[:40], "no samples"),
    ],
)
def test_what_is_no_recording_is_refused_by_a_sentence(content, said):
    with pytest.raises(ValueError, match=said):
        decode(content)


def test_no_bytes_make_it_fail_in_another_way():
    random = np.random.default_rng(3)
    whole = wav(random.bytes(400), channels=2, bits=24, rate=44100)
    for _ in range(1500):
        content = bytearray(whole[: random.integers(len(whole) + 1)])
        for place in random.integers(0, max(1, min(len(content), 60)), 3):
            if content:
                content[place] = random.integers(256)
        with contextlib.suppress(ValueError):
            samples, rate = decode(bytes(content))
            assert np.isfinite(samples).all()
            assert len(samples)
            assert rate


def test_what_is_written_is_read_back_and_cut_at_full_scale():
    samples = np.array([0.0, 0.3, -0.7, 2.0, -2.0])
    got, rate = decode(encode(samples, 44100))
    np.testing.assert_allclose(got, [0, 0.3, -0.7, 1, -1], atol=4e-5)
    assert rate == 44100


def test_a_file_too_large_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr("steelyard.data.waves.LARGEST", 100)
    with pytest.raises(ValueError, match="cut the recording into parts"):
        decode(encode(np.zeros(100), 8000))
