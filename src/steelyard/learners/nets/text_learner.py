"""What learners share that are nets over the tokens of text, with a vocabulary of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from steelyard.contracts import Kind, Meter, Problem, Refusal, Schema, Setting, Split, Task, Work
from steelyard.learners._table import refuse_without
from steelyard.learners.nets.augment import NAME as AUGMENT
from steelyard.learners.nets.augment import options_of
from steelyard.learners.nets.course import COURSE, HONOURS, Told, course_of, rows_at_once
from steelyard.learners.nets.learner import SELF_SUPERVISED, NetLearner
from steelyard.learners.nets.reading import Material, Reading
from steelyard.learners.nets.words import Words, learned
from steelyard.recipe import Plan, Settings

if TYPE_CHECKING:
    from torch import nn

    from steelyard.learners.nets.judge import Judge
    from steelyard.learners.nets.loop import Vary

ADVERSARIAL = "adversarial"
RADIUS, EPOCHS, HIDDEN = 0.05, 6, 0.15
"""What the levers ``adversarial`` and ``self-supervised`` do where they are not told."""
ENOUGH, FEWEST, MOST = 450, 4, 20
"""Steps after which small nets of text have learnt what they will, and between how many epochs those are made."""

TEXT: Mapping[str, Setting] = {
    "vocabulary": Setting(
        default=8000, low=300, high=60_000, log=True, unit="tokens", about="Most tokens: characters and joined pieces."
    ),
    "token_min_count": Setting(
        default=2, low=1, high=50, log=True, about="How often a pair of pieces must stand to become a token."
    ),
    "length": Setting(
        default=256, low=8, high=2048, log=True, unit="tokens", about="Most tokens of a text; the rest is cut off."
    ),
    "embedding": Setting(default=128, low=16, high=512, log=True, about="Numbers a token."),
    "dropout": Setting(default=0.5, low=0.0, high=0.8, about="Share of features that a step leaves out."),
}
"""The settings that nets over tokens share."""

SETTINGS: Mapping[str, Setting] = {
    **COURSE,
    **TEXT,
    "epochs": replace(
        COURSE["epochs"], default=None, about=f"Times that training goes over the rows; unset: {ENOUGH} steps, about."
    ),
    "learning_rate": replace(COURSE["learning_rate"], default=0.003),
    "batch": replace(COURSE["batch"], default=64),
}


class TextNet(NetLearner):
    """A net over the tokens of one or several text columns."""

    honours = HONOURS | {AUGMENT, ADVERSARIAL, SELF_SUPERVISED}
    settings: Mapping[str, Setting] = SETTINGS

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse tables without text or with more than text, tasks of another form, and a machine without PyTorch."""
        if task.problem not in {Problem.BINARY, Problem.MULTICLASS, Problem.REGRESSION}:
            return Refusal(f"{self.name} predicts one class or number a row, and this task is {task.problem.value}.")
        if not schema.of(Kind.TEXT):
            return Refusal(
                f"{self.name} reads text, and this table has none: use 'linear' or 'lightgbm', "
                "or list a column of text under `columns.text`.",
                lacks=Kind.TEXT,
            )
        others = [column.name for column in schema.features if column.kind is not Kind.TEXT]
        if others:
            return Refusal(
                f"{self.name} reads text alone, and {others[0]!r} is none: use 'linear' or 'lightgbm', which take "
                "mixtures, or list the other columns under `columns.ignore`."
            )
        return refuse_without(self.name, "torch")

    def reading(self, train: Split, work: Work, settings: Told) -> Reading:
        """Learn a vocabulary from the training rows."""
        size, least, length = (int(settings.number(k, 1)) for k in ("vocabulary", "token_min_count", "length"))
        return learned(train, work.schema, size=size, least=least, length=length)

    def completed(self, settings: Settings, rows: int) -> Settings:
        """Decide the epochs: the fewer the rows, the more often they are gone over.

        Examples
        --------
        >>> from steelyard.learners._text_cnn import TextCnn
        >>> unset = Settings(epochs=None, batch=64)
        >>> [int(TextCnn().completed(unset, rows)["epochs"]) for rows in (100, 700, 3_000, 60_000)]
        [20, 18, 10, 4]
        """
        if settings.get("epochs") is not None:
            return settings
        steps = rows / rows_at_once(int(settings.number("batch", 64)), rows)
        return settings.with_(epochs=min(MOST, max(FEWEST, round(ENOUGH / steps))))

    def vary(self, settings: Told) -> Vary | None:
        """Drop and swap words where the lever ``augment`` asks for it."""
        asked = options_of(Kind.TEXT, settings.part(AUGMENT))
        if asked is None:
            return None
        from steelyard.learners.nets.vary_text import Noise  # noqa: PLC0415 - torch is loaded by what trains

        return Noise(drop=asked.number("drop", 0.0), swap=asked.number("swap", 0.0))

    def prepare(self, net: nn.Module, material: Material, settings: Told, work: Work, meter: Meter) -> None:
        """Let the net guess hidden tokens first, and be attacked in training, where levers ask for it."""
        hidden, harm = settings.part(SELF_SUPERVISED), settings.part(ADVERSARIAL)
        if hidden is not None:
            from steelyard.learners.nets import masking, text_bodies  # noqa: PLC0415 - torch is loaded by what trains

            assert isinstance(net, text_bodies.TextBody)
            course = course_of(self.name, settings, Plan(), work.seed)
            epochs, share = int(hidden.number("epochs", EPOCHS)), hidden.number("hidden", HIDDEN)
            masking.guess_hidden(net, material, course, epochs=epochs, share=share, meter=meter)
        if harm is not None:
            from steelyard.learners.nets.attack import Fgm  # noqa: PLC0415 - as above

            setattr(net, "attack", Fgm(harm.number("radius", RADIUS)))  # noqa: B010 - PyTorch types attributes as modules

    def conclude(self, net: nn.Module, judge: Judge | None, settings: Told, meter: Meter) -> None:
        """Say how many validation rows are still decided rightly when they are attacked."""
        attack = None if settings.part(ADVERSARIAL) is None else getattr(net, "attack", None)
        if attack is None or judge is None or not judge.task.classes:
            return
        from steelyard.learners.nets.attack import accuracies  # noqa: PLC0415 - torch is loaded by what trains

        clean, harmed = accuracies(attack, net, judge.material, judge.valid.target)
        meter.note(
            f"{self.name} decides {clean:.3f} of the validation rows rightly, and {harmed:.3f} when their embeddings "
            f"are moved by {attack.radius:g} of their length in the direction that harms most (FGM)."
        )


def sizes_of(reading: Reading, task: Task, settings: Told) -> dict[str, Any]:
    """Return what every body of a text net is told."""
    assert isinstance(reading, Words)
    return {
        "vocabulary": reading.size,
        "columns": len(reading.feeds),
        "embedding": int(settings.number("embedding", 1)),
        "dropout": settings.number("dropout", 0.0),
        "outputs": task.width,
    }
