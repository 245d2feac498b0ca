import zipfile

import numpy as np
import pytest

from steelyard.contracts import Kind
from steelyard.data import load, store
from steelyard.data.hashing import contents
from steelyard.data.waves import encode
from steelyard.draft import draft
from steelyard.errors import DataUnfit, DataUnreadable


def wav(seed, rate=8000, seconds=0.05):
    return encode(np.random.default_rng(seed).normal(scale=0.1, size=int(rate * seconds)), rate)


def calls(rows=24, **how):
    return {f"{('cat', 'dog')[i % 2]}/{i}.wav": wav(i, **how) for i in range(rows)}


def folder(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def packed(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def listed(names, name="file", prefix="", **more):
    head = ",".join([name, "y", *more])
    lines = [
        ",".join([prefix + n, n.split("/")[0], *(values[i] for values in more.values())]) for i, n in enumerate(names)
    ]
    return "\n".join([head, *lines]).encode()


def by_name(data):
    return sorted(zip(contents(data.rows.columns[data.schema.features[0].name]), data.rows.target, strict=True))


@pytest.fixture
def all_ways(tmp_path):
    files = calls()
    (tmp_path / "beside").mkdir()
    packed(tmp_path / "beside" / "calls.zip", files)
    (tmp_path / "beside" / "list.csv").write_bytes(listed(files, prefix="calls.zip::"))
    return {
        "folder": folder(tmp_path / "classes", files),
        "zip": packed(tmp_path / "classes.zip", files),
        "table": folder(tmp_path / "table", {**files, "list.csv": listed(files)}) / "list.csv",
        "zip with a table": packed(tmp_path / "both.zip", {**files, "list.csv": listed(files)}),
        "table beside a zip": tmp_path / "beside" / "list.csv",
    }


@pytest.mark.parametrize("way", ["folder", "zip", "table", "zip with a table", "table beside a zip"])
def test_sounds_come_from_folders_archives_and_tables_alike(all_ways, way, spec):
    data, expected = (load(spec(str(all_ways[one]))) for one in (way, "folder"))
    (column,) = data.schema.features
    assert column.kind is Kind.AUDIO
    assert data.task.classes == ("cat", "dog")
    assert by_name(data) == by_name(expected)
    assert data.fingerprint == expected.fingerprint or way != "zip"


def test_bytes_in_a_frame_are_told_from_images_and_a_kind_can_be_given(spec):
    cells = [wav(i) for i in range(24)]
    assert load(spec({"call": cells, "y": ["a", "b"] * 12})).schema.features[0].kind is Kind.AUDIO
    with pytest.raises(DataUnfit, match=r"24 of 24 sounds in column 'call' cannot be read.*no wav file"):
        load(
            spec(
                {"call": [b"x" * 50 + bytes([i]) for i in range(24)], "y": ["a", "b"] * 12}, columns={"audio": ["call"]}
            )
        )


def test_what_is_stored_comes_back(all_ways, tmp_path, spec):
    for way in ("folder", "zip"):
        data = load(spec(str(all_ways[way])))
        store.save(data, tmp_path / way)
        again = store.read(tmp_path / way)
        assert again.schema == data.schema
        assert again.rows.columns["audio"].tolist() == data.rows.columns["audio"].tolist()
        assert by_name(again) == by_name(data)


def test_speakers_stay_on_one_side_or_a_column_says_who_is_left_out(tmp_path, spec):
    files = calls(40)
    speakers = [f"s{i % 4}" for i in range(40)]
    sides = ["test" if s == "s3" else "train" for s in speakers]
    path = folder(tmp_path, {**files, "list.csv": listed(files, speaker=speakers, side=sides)}) / "list.csv"
    for split in ({"group": "speaker"}, {"column": "side", "group": "speaker"}):
        data = load(
            spec(str(path), split={**split, "repeats": None}, columns={} if "column" in split else {"ignore": ["side"]})
        )
        who = np.array(speakers)[data.rows.rows]
        assert [c.name for c in data.schema.features] == ["file"]
        assert not {*who[data.partition.test]} & {*who[data.partition.development]}
        assert data.partition.protocol == "3-fold"
        for part in data.partition.parts:
            assert len({*who[part.score]}) == 1
            assert not {*who[part.score]} & {*who[part.fit]}
    assert {*who[data.partition.test]} == {"s3"}


def test_the_same_recording_twice_stays_on_one_side(tmp_path, spec):
    files = calls(40)
    twice = files | {name.replace(".wav", "-again.wav"): content for name, content in files.items()}
    data = load(spec(str(folder(tmp_path, twice))))
    assert {f.code for f in data.findings} >= {"duplicate_rows"}
    assert "duplicates_across" not in {f.code for f in data.findings}


def test_sounds_that_are_not_there_are_counted_and_the_first_is_named(tmp_path, spec):
    files = calls()
    listing = listed([*files, "cat/lost.wav", "dog/lost.wav"])
    with pytest.raises(DataUnfit, match=r"2 of 26 sounds named in column 'file' .*'cat/lost.wav' in row 24"):
        load(spec(str(folder(tmp_path, {**files, "list.csv": listing}) / "list.csv")))


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "the file is empty"), (wav(1)[:30], "cut off"), (b"ID3" + bytes(80), "is MP3"), (wav(1)[:44], "no samples")],
)
def test_a_few_damaged_sounds_cost_their_rows_and_more_stop_the_run(tmp_path, spec, content, said):
    files = calls(40)
    data = load(spec(str(folder(tmp_path / "few", {**files, "cat/2.wav": content}))))
    assert len(data.rows) == 39
    (found,) = [f for f in data.findings if f.code == "unreadable_sounds"]
    assert found.sentence.startswith("1 of 40 sounds in column 'audio' cannot be read, the first is '")
    assert said in found.sentence
    bad = dict.fromkeys(list(files)[:3], content)
    with pytest.raises(DataUnfit, match=r"3 of 40 sounds .*take their rows out"):
        load(spec(str(folder(tmp_path / "many", {**files, **bad}))))


def test_an_empty_cell_counts_as_unreadable(spec):
    data = load(
        spec({"call": [*calls(40).values(), None], "y": [*["cat", "dog"] * 20, "bird"]}, columns={"audio": ["call"]})
    )
    assert len(data.rows) == 40
    assert data.task.classes == ("cat", "dog")


def test_sounds_cut_off_silent_ones_and_mixed_rates_are_told(tmp_path, spec):
    files = calls(40)
    odd = {
        "cat/0.wav": files["cat/0.wav"][:-100],
        "dog/1.wav": encode(np.zeros(400), 8000),
        "cat/2.wav": wav(2, rate=44100),
    }
    data = load(spec(str(folder(tmp_path, {**files, **odd}))))
    said = {f.code: f.sentence for f in data.findings}
    assert len(data.rows) == 40
    assert "1 of 40 sounds in column 'audio' are shorter than their header says" in said["cut_sounds"]
    assert "1 of 40 sounds in column 'audio' are silent" in said["silent_sounds"]
    assert "39 of 8,000 Hz, 1 of 44,100 Hz" in said["mixed_rates"]


def test_folders_of_another_layout_and_other_formats_are_refused(tmp_path, spec):
    for files, said in (
        ({"1.wav": wav(1)}, r"holds no sounds in folders of classes \(1 sounds\); put each sound in a folder"),
        ({"a/1.mp3": b"ID3"}, "1 files are sounds that are not wav: convert them"),
        ({"a/1.wav": wav(1), "b/1.png": b"x"}, "holds 1 images and 1 sounds"),
    ):
        with pytest.raises(DataUnreadable, match=said):
            load(spec(str(folder(tmp_path / str(len(said)), files))))


def test_a_drafted_spec_of_sounds_runs_as_it_stands(all_ways):
    for way in ("folder", "zip"):
        text = draft(str(all_ways[way]), "label")
        assert "target: label" in text
        assert "audio or time" not in text.split("# ")[0]
