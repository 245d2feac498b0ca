"""Small nets and rows for the tests of the loop."""

import math

import numpy as np
import torch
from torch import nn

from steelyard.contracts import Feed, Kind, Refusal
from steelyard.learners.nets import COURSE, Held, NetLearner, PlainReading
from steelyard.units import Seconds


class Clock:
    """A meter whose time runs by calls, or not at all."""

    def __init__(self, seconds=math.inf, *, stop_after=math.inf, a_call=0.0):
        self.left, self.stop_after, self.a_call = seconds, stop_after, a_call
        self.reports, self.notes = [], []

    def report(self, step, value):
        self.reports.append((step, value))
        return len(self.reports) < self.stop_after

    def remaining(self):
        self.left -= self.a_call
        return Seconds(self.left)

    def note(self, sentence):
        self.notes.append(sentence)


class Line(nn.Module):
    """A hidden layer between numbers and outputs."""

    def __init__(self, width=6, outputs=2, dropout=0.0):
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(width, 16), nn.Dropout(dropout), nn.Linear(16, outputs)

    def forward(self, inputs):
        return self.last(self.drop(torch.relu(self.first(inputs["x"]))))


class Tagger(nn.Module):
    """Outputs for every token, from its own id alone."""

    def __init__(self, words=20, outputs=3):
        super().__init__()
        self.table = nn.Embedding(words, outputs)

    def forward(self, inputs):
        return self.table(inputs["ids"])


class Mean(nn.Module):
    """The mean of what stands for each token, padding left out; id 0 pads."""

    def __init__(self, words=20, outputs=2):
        super().__init__()
        self.table, self.head = nn.Embedding(words, 8), nn.Linear(8, outputs)

    def forward(self, inputs):
        there = (inputs["ids"] > 0).float()[..., None]
        return self.head((self.table(inputs["ids"]) * there).sum(1) / there.sum(1).clamp_min(1.0))


class Ragged:
    """Rows of token ids, of any length, padded with 0."""

    def __init__(self, rows):
        self.rows, self.lengths, self.taken = rows, np.array([len(r) for r in rows]), []

    def __len__(self):
        return len(self.rows)

    def batch(self, rows):
        self.taken.append(rows)
        table = np.zeros((len(rows), max((len(self.rows[r]) for r in rows), default=1)), np.int64)
        for line, row in zip(table, rows, strict=True):
            line[: len(self.rows[row])] = self.rows[row]
        return {"ids": torch.from_numpy(table)}


def numbers(n=200, *, seed=0, width=6):
    """Two clouds of points, and which one each is of."""
    random = np.random.default_rng(seed)
    target = random.integers(0, 2, n)
    x = random.normal(size=(n, width)) + 2.5 * target[:, None] * (np.arange(width) < 3)
    return Held({"x": x.astype(np.float32)}), target


def tokens(n=200, *, seed=0, words=20):
    """Rows of 1 to 12 ids; whether most of them are large."""
    random = np.random.default_rng(seed)
    target = random.integers(0, 2, n)
    rows = [random.integers(1, words // 2, random.integers(1, 13)) + (words // 2) * one for one in target]
    return Ragged(rows), target


def made(kind=Line, seed=0, **more):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(**more)


class Picture(nn.Module):
    """A linear look at images."""

    def __init__(self, pixels, outputs):
        super().__init__()
        self.last = nn.Linear(pixels, outputs)

    def forward(self, inputs):
        return self.last(inputs["image"].float().flatten(1) / 255)


class Toy(NetLearner):
    """A family of nets on images of 12 by 12 pixels, the smallest that keeps the contract."""

    name = "toy"
    about = "A linear look at images, for the tests."
    settings = COURSE

    def accepts(self, task, schema):
        del task
        if len(schema.of(Kind.IMAGE)) == 1:
            return None
        return Refusal("toy reads one column of images: list one under `columns.image`.")

    def reading(self, train, work, settings):
        del train, settings
        size = {"height": 12, "width": 12, "channels": 1}
        return PlainReading((Feed("image", ("image",), (work.schema.of(Kind.IMAGE)[0].name,), size),))

    def net(self, reading, task, settings):
        del reading, settings
        return Picture(144, task.width)
