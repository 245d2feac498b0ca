"""What a bundle is weighed with is what a client would send."""

import io
import zipfile

import numpy as np
from PIL import Image

from steelyard.data import load
from steelyard.search.plain_rows import sample_rows
from steelyard.spec import Spec


def test_pictures_of_an_archive_are_sent_as_bytes_so_that_no_archive_is_opened_to_answer_one(tmp_path):
    random = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for number in range(120):
            file = io.BytesIO()
            Image.fromarray(random.integers(0, 256, (6, 6), np.uint8)).save(file, "PNG")
            archive.writestr(f"{'cat' if number % 2 else 'dog'}/{number}.png", file.getvalue())
    dataset = load(Spec(data=str(tmp_path / "pictures.zip"), target="label"), None)
    (column,) = dataset.schema.features
    assert str(dataset.rows.columns[column.name][0]).startswith(str(tmp_path / "pictures.zip::"))
    rows = sample_rows(dataset, dataset.partition.test[:5])
    assert len(rows) == 5
    assert all(Image.open(io.BytesIO(row[column.name])).size == (6, 6) for row in rows)
