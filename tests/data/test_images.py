import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from steelyard.contracts import Kind
from steelyard.data import hashing, load
from steelyard.data.hashing import contents
from steelyard.data.readers import arrays
from steelyard.errors import DataUnfit, DataUnreadable


def png(seed):
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 6), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def images(rows=24):
    return {f"{('cat', 'dog')[i % 2]}/{i}.png": png(i) for i in range(rows)}


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


def listed(files, name="file"):
    return "\n".join([f"{name},y", *(f"{n},{n.split('/')[0]}" for n in files)]).encode()


def by_name(data):
    return sorted(zip(contents(data.rows.columns[data.schema.features[0].name]), data.rows.target, strict=True))


@pytest.fixture
def all_ways(tmp_path):
    files = images()
    return {
        "folder": folder(tmp_path / "classes", files),
        "zip": packed(tmp_path / "classes.zip", files),
        "zip in a folder": packed(tmp_path / "nested.zip", {f"pets/all/{n}": c for n, c in files.items()}),
        "table": folder(tmp_path / "table", {**files, "list.csv": listed(files)}) / "list.csv",
        "folder with a table": folder(tmp_path / "both", {**files, "list.csv": listed(files)}),
        "zip with a table": packed(tmp_path / "both.zip", {**files, "list.csv": listed(files)}),
    }


@pytest.mark.parametrize(
    "way", ["folder", "zip", "zip in a folder", "table", "folder with a table", "zip with a table"]
)
def test_images_come_from_folders_archives_and_tables_alike(all_ways, way, spec):
    data = load(spec(str(all_ways[way])))
    expected = load(spec(str(all_ways["folder"])))
    (column,) = data.schema.features
    assert column.kind is Kind.IMAGE
    assert data.task.classes == ("cat", "dog")
    assert by_name(data) == by_name(expected)
    assert all(str(cell).startswith("/") for cell in data.rows.columns[column.name])


def test_what_is_in_an_image_makes_the_fingerprint_not_where_it_lies(all_ways, tmp_path, spec):
    data = load(spec(str(all_ways["folder"])))
    elsewhere = load(spec(str(folder(tmp_path / "elsewhere", images()))))
    other = load(spec(str(folder(tmp_path / "other", {**images(), "cat/0.png": png(99)}))))
    assert data.fingerprint == elsewhere.fingerprint
    assert data.fingerprint != other.fingerprint


def test_folders_above_the_classes_that_are_named_like_sides_become_the_split(tmp_path, spec):
    files = {f"{side}/{name}": c for side in ("train", "test") for name, c in images().items()}
    data = load(spec(str(packed(tmp_path / "sides.zip", files)), split={"column": "split"}))
    assert len(data.partition.test) == len(data.partition.development) == 24
    assert next(f for f in data.findings if f.code == "duplicates_across").numbers["rows"] == 24


def test_names_that_are_a_class_and_a_number_are_the_class(tmp_path, spec):
    files = {f"all/{('rolled-in_scale', 'crazing')[i % 2]}_{i}.png": png(i) for i in range(24)}
    data = load(spec(str(packed(tmp_path / "steel.zip", files))))
    assert data.task.classes == ("crazing", "rolled-in_scale")
    assert data.rows.target.tolist() == [0] * 12 + [1] * 12
    (found,) = [f for f in data.findings if f.code == "taken_for_granted"]
    assert "what stands before the number: crazing, rolled-in_scale; put the images in folders" in found.sentence
    assert not [f for f in load(spec(str(folder(tmp_path / "usual", images())))).findings if f.code == found.code]


@pytest.mark.parametrize(
    "names",
    [
        ["scan_1.png", "scan_2.png", "scan_3.png"],  # one class is none
        ["cat_1.png", "cat_2.png", "dog_1.png"],  # a class of one image is a name
        ["cat_1.png", "cat_2.png", "dog_1.png", "dog_2.png", "readme.png"],
        ["1.png", "2.png", "3.png", "4.png"],
    ],
)
def test_names_that_are_no_classes_are_not_taken_for_some(tmp_path, spec, names):
    with pytest.raises(DataUnreadable, match="holds no images in folders of classes"):
        load(spec(str(folder(tmp_path / "flat", {name: png(i) for i, name in enumerate(names)}))))


def test_a_member_that_would_unpack_to_too_much_is_left_out(tmp_path, spec, monkeypatch):
    files = images()
    biggest = max(map(len, files.values()))
    monkeypatch.setattr(hashing, "LARGEST_MEMBER", biggest)
    files["cat/0.png"] = files["cat/0.png"] + b"\0" * biggest
    assert len(load(spec(str(packed(tmp_path / "a.zip", files)))).rows) == 23


def test_a_folder_or_archive_of_another_layout_is_refused(tmp_path, spec):
    (tmp_path / "empty").mkdir()
    for path in (
        tmp_path / "empty",
        folder(tmp_path / "flat", {"1.png": png(1)}),
        folder(tmp_path / "deep", {"a/b/c/1.png": png(1), "a/2.png": png(2)}),
        packed(tmp_path / "flat.zip", {"1.png": png(1)}),
    ):
        with pytest.raises(DataUnreadable, match="holds no images in folders of classes"):
            load(spec(str(path)))
    two = folder(tmp_path / "two", {"a.csv": b"y\n1\n", "b.csv": b"y\n1\n"})
    with pytest.raises(DataUnreadable, match="holds 2 tables"):
        load(spec(str(two)))


def test_images_that_are_not_there_are_counted_and_the_first_is_named(tmp_path, spec):
    files = images()
    listing = listed([*files, "cat/lost.png", "dog/lost.png"])
    with pytest.raises(
        DataUnfit, match=r"2 of 26 images named in column 'file' are not there, .*'cat/lost.png' in row 24"
    ):
        load(spec(str(folder(tmp_path / "table", {**files, "list.csv": listing}) / "list.csv")))
    with pytest.raises(DataUnfit, match="2 of 26 images"):
        load(spec(str(packed(tmp_path / "table.zip", {**files, "list.csv": listing}))))


def test_a_damaged_member_of_an_archive_is_named(tmp_path, spec):
    path = packed(tmp_path / "a.zip", images())
    content = path.read_bytes()
    path.write_bytes(content.replace(png(3), png(3)[:-20] + b"x" * 20))
    data = load(spec(str(path)))
    assert len(data.rows) == 23
    (found,) = [f for f in data.findings if f.code == "unreadable_images"]
    assert found.sentence.startswith("1 of 24 images in column 'image' cannot be read")
    assert "a.zip::dog/3.png' in row" in found.sentence
    assert found.sentence.endswith("their rows are left out; replace the files to have them used")


def test_more_than_a_few_unreadable_images_stop_a_run(tmp_path, spec):
    files = {
        name: content[:-40] if name in ("cat/2.png", "dog/3.png") else content for name, content in images().items()
    }
    with pytest.raises(DataUnfit, match=r"2 of 24 images .*'.*/cat/2.png' in row .*take their rows out"):
        load(spec(str(folder(tmp_path / "classes", files))))


def test_an_empty_image_cell_counts_as_unreadable_and_a_class_may_go_with_it(spec):
    files = [*images(40).values(), None]
    data = load(spec({"photo": files, "y": [*["cat", "dog"] * 20, "bird"]}, columns={"image": ["photo"]}))
    assert len(data.rows) == 40
    assert data.task.classes == ("cat", "dog")
    assert data.rows.rows.tolist() == list(range(40))


@pytest.mark.parametrize("names", [("images", "labels"), ("x", "y")])
@pytest.mark.parametrize("shape", [(24, 6, 6), (24, 6, 6, 1), (24, 6, 6, 3)])
def test_arrays_become_png_that_hold_the_same_pixels(tmp_path, names, shape, spec):
    pixels = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    np.savez(tmp_path / "a.npz", **{names[0]: pixels, names[1]: np.arange(24) % 2})
    data = load(spec(str(tmp_path / "a.npz"), "digit"))
    back = np.stack([np.asarray(Image.open(io.BytesIO(cell))) for cell in data.rows.columns["image"]])
    np.testing.assert_array_equal(back, pixels.reshape(back.shape))
    assert data.rows.target.tolist() == [i % 2 for i in range(24)]


def test_arrays_with_train_and_test_apart_bring_their_split(tmp_path):
    pixels = np.zeros((4, 6, 6), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x_train=pixels, y_train=np.arange(4), x_test=pixels[:2], y_test=np.arange(2))
    assert arrays.read(tmp_path / "a.npz", "y")["split"].to_list() == ["train"] * 4 + ["test"] * 2


def test_arrays_of_other_names_types_shapes_and_lengths_are_refused(tmp_path):
    good = np.zeros((4, 6, 6), dtype=np.uint8)
    for held, said in (
        ({"pictures": good}, "holds pictures; name its arrays"),
        ({"images": good.astype(float), "labels": np.arange(4)}, "images are float64"),
        ({"images": good[0], "labels": np.arange(4)}, r"of shape \(6, 6\)"),
        ({"images": good, "labels": np.arange(3)}, "4 images but 3 labels"),
        ({"images": np.array([None]), "labels": np.arange(1)}, "cannot be read as arrays"),
    ):
        np.savez(tmp_path / "a.npz", **held)
        with pytest.raises(DataUnreadable, match=said):
            arrays.read(tmp_path / "a.npz", "y")


def test_pictures_in_a_frame_become_bytes(spec):
    pixels = [np.full((5, 5), 10 * i, dtype=np.uint8) for i in range(24)]
    cells = [Image.fromarray(p) if i % 2 else p for i, p in enumerate(pixels)]
    data = load(spec({"photo": cells, "y": ["a", "b", "c"] * 8}))
    back = [np.asarray(Image.open(io.BytesIO(cell))) for cell in data.rows.columns["photo"]]
    np.testing.assert_array_equal(back, pixels)
