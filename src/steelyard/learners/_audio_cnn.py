"""Sounds by a small convolutional net on log-mel spectrograms, trained from nothing on a few cores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from steelyard.contracts import Feed, Kind, Refusal, Schema, Setting, Split, Task, Work
from steelyard.learners._hearing import hearing_of
from steelyard.learners._table import refuse_without
from steelyard.learners.nets.augment_sound import NAME as AUGMENT
from steelyard.learners.nets.augment_sound import strengths
from steelyard.learners.nets.course import COURSE, HONOURS, Told
from steelyard.learners.nets.learner import NetLearner
from steelyard.learners.nets.reading import Reading
from steelyard.learners.nets.sounds import AXES, FRAMES, SPECTROGRAM, SoundReading
from steelyard.recipe import Settings

if TYPE_CHECKING:
    from torch import nn

    from steelyard.learners.nets.export import Axes
    from steelyard.learners.nets.loop import Vary

SETTINGS: Mapping[str, Setting] = {
    **COURSE,
    "epochs": replace(COURSE["epochs"], default=20, high=100),
    "weight_decay": replace(COURSE["weight_decay"], default=0.05),
    "batch": replace(COURSE["batch"], default=64),
    "width": Setting(default=64, options=(32, 64, 96), about="Channels."),
    "blocks": Setting(default=3, options=(2, 3, 4, 6), about="Units that look along time."),
    "parts": Setting(default=6, options=(1, 3, 6, 10), about="Equal parts of a recording, averaged by themselves."),
    "cepstra": Setting(
        default=13,
        options=(13, 20, 0),
        about="Cepstra of the spectrum's envelope that are kept; 0: the bands themselves.",
    ),
    "dropout": Setting(default=0.3, low=0.0, high=0.6, about="Share of the last layer's inputs dropped in training."),
    "vary": Setting(
        default=1.0,
        low=0.0,
        high=2.0,
        about="How far training recordings are varied in speed, voice, tone, noise and gaps; 0: not at all.",
    ),
    "bands": Setting(default=26, options=(26, 40, 64), about="Mel bands of the spectrogram."),
    "rate": Setting(
        default=None, low=4_000, high=48_000, unit="Hz", about="Samples a second; unset: their own, 16,000 at most."
    ),
    "seconds": Setting(
        default=None,
        low=0.1,
        high=600.0,
        unit="s",
        about="The longest that is heard, of a longer recording its middle; unset: all there is, 30 at most.",
    ),
}


class AudioCnn(NetLearner):
    """Zhang, Suda, Lai, Chandra: Hello Edge: Keyword Spotting on Microcontrollers, 2017, with room for any length.

    Reads one column of wav files. Every training recording is heard a little differently in each epoch, which decides
    how well voices are understood that no training row has: speed (Ko et al., Interspeech 2015), length of the vocal
    tract (Jaitly and Hinton, ICML workshop 2013), tone of the microphone, noise, and gaps in time and frequency (Park
    et al., SpecAugment, Interspeech 2019).
    """

    name = "audio-cnn"
    about = "Sounds by a small convolutional net on log-mel spectrograms in PyTorch, trained from nothing."
    honours = HONOURS | {AUGMENT}
    settings = SETTINGS
    seconds_a_row = 0.0008
    gain = 0.9

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse a table that is not one column of sounds, and a machine without PyTorch."""
        del task
        sounds = schema.of(Kind.AUDIO)
        if not sounds:
            return Refusal(
                f"{self.name} reads sounds, and this table has none: use 'linear' or 'lightgbm', "
                "or list a column of wav files under `columns.audio`.",
                lacks=Kind.AUDIO,
            )
        others = [c.name for c in schema.features if c is not sounds[0]]
        if others:
            named = ", ".join(map(repr, others[:5]))
            return Refusal(
                f"{self.name} reads one column of sounds alone, and this table also has {named}; "
                "put what it may not read under `columns: {ignore: [...]}`."
            )
        return refuse_without(self.name, "torch")

    def burden(self, settings: Settings) -> float:
        """Return how much it costs to serve: squared channels, unit by unit."""
        return settings.number("width", 64) ** 2 * settings.number("blocks", 3)

    def reading(self, train: Split, work: Work, settings: Told) -> Reading:
        """Return the feed of the column, at the rate and length of its training recordings."""
        column = work.schema.of(Kind.AUDIO)[0].name
        given = {name: settings.number(name, 0) for name in ("rate", "seconds") if settings.get(name) is not None}
        hearing = hearing_of(
            column,
            list(train.columns[column]),
            rate=int(given["rate"]) if "rate" in given else None,
            seconds=given.get("seconds"),
            bands=int(settings.number("bands", 26)),
        )
        return SoundReading(Feed("spectrogram", (SPECTROGRAM, FRAMES), (column,), hearing.options()))

    def net(self, reading: Reading, task: Task, settings: Told) -> nn.Module:
        """Return an untrained net."""
        from steelyard.learners.nets.sound_net import SoundNet  # noqa: PLC0415 - torch is loaded by what trains

        assert isinstance(reading, SoundReading)
        sizes = {name: int(settings.number(name, 1)) for name in ("cepstra", "width", "blocks", "parts")}
        dropout = settings.number("dropout", 0.0)
        return SoundNet(bands=reading.bands, outputs=task.width, dropout=dropout, **sizes)

    def vary(self, settings: Told) -> Vary | None:
        """Return what varies a training batch: as the lever ``augment`` asks, or by the setting ``vary``."""
        from steelyard.learners.nets.vary_sound import varying  # noqa: PLC0415 - torch is loaded by what trains

        return varying(strengths(settings.part(AUGMENT), settings.number("vary", 0.0)))

    def axes(self, reading: Reading, settings: Told) -> Axes | None:
        """Return rows and frames."""
        del reading, settings
        return AXES
