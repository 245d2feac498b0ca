"""Drop what training rows hardly hold from a model's vocabulary, and from the tables that its numbers point into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.contracts import (
    Artefact,
    Context,
    Feed,
    Ints,
    Kind,
    Meter,
    Move,
    Prior,
    Setting,
    Space,
    Split,
    Stage,
    Trial,
    Work,
)
from steelyard.learners._settings import settings_of
from steelyard.levers.priors import FITTING_A_RULE, gain
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking.chain import one_more, weighty
from steelyard.levers.shrinking.graphs.surgery import Surgery
from steelyard.levers.shrinking.graphs.tables import cut
from steelyard.levers.shrinking.graphs.tokens_kept import Grams, Pieces, Words
from steelyard.recipe import Plan, Settings

FILE = {"tokens": "tokenizer", "subwords": "tokenizer", "counts": "vocabulary", "token-features": "vocabulary"}
"""Front ends whose first input holds numbers of tokens, and the option that names the file of these."""
LISTED = frozenset({"counts", "token-features"})
"""Those whose file is a list, one past its end being nothing; the others have a tokenizer and a token that pads."""
PASSES = 3
"""Times that rows are cut anew without rare tokens, so that what takes their place is counted."""
WORTH = 0.05
"""Share of a vocabulary that has to go to be worth it."""


class Vocabulary:
    """Keeps of a vocabulary what stands in the training rows, and what other words are cut into.

    A multilingual or general encoder spends half of its numbers on tokens that a task never sees. Texts without a
    dropped token are answered exactly as before; a word that was dropped is cut into smaller pieces that stayed, down
    to single characters, or is unknown in scripts that no training row is written in. N-grams that are counted are
    left out where they are dropped.
    """

    name = "vocabulary"
    stage = Stage.SHRINKING
    trains = True
    """It counts in every training row, though it trains nothing."""
    paper = (
        "Abdaoui, Pradel, Sigel: Load What You Need: Smaller Versions of Multilingual BERT. SustaiNLP 2020, "
        "arXiv:2010.05609"
    )
    about = "Drops tokens that do not occur in the training rows from the vocabulary and from the tables of embeddings."
    space = Space(
        {
            "least": Setting(
                default=1, low=1, high=1000, log=True, about="How often a token must stand in the rows to be kept."
            )
        }
    )

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose it for models of text that keep what they know in weights."""
        text = context.schema.of(Kind.TEXT, Kind.TOKENS)
        recipe = one_more(self.name, trial, context) if text and weighty(trial, context) else None
        if recipe is None:
            return
        bring = gain(0.004, 0.0, 0.01, "no better answers: what up to half of the size is worth, as a gain")
        why = "drops tokens that never occur in the training rows: smaller, and the same answers to texts like them"
        yield Move(recipe=recipe, lever=self.name, prior=Prior(FITTING_A_RULE, bring), why=why)

    def apply(self, artefact: Artefact, split: Split, settings: Settings, work: Work, meter: Meter) -> Artefact:
        """Return the artefact with smaller vocabularies and tables; a feed differs by the number of its padding alone.

        Raises
        ------
        LeverRefused
            If no front end reads text by a vocabulary, every token is needed, or the graph or the tokenizer cannot be
            renumbered.
        """
        del work
        least = int(settings_of(self.name, self.space, Plan(settings=settings)).number("least", 1))
        readings = readings_of(artefact)
        if not readings:
            raise _refused("finds no front end that reads text by a vocabulary in this model")
        if not len(split):
            raise LeverRefused("vocabulary needs training rows to count tokens in, and there are none; keep some")
        graph, made = Surgery(artefact.graph), artefact
        for reading in readings:
            kept = reading.kept(split, least, meter)
            if len(kept) > (1 - WORTH) * reading.words.size:
                continue
            for feed in reading.feeds:
                cut(graph, feed.inputs[0], kept, reading.words.size)
            made = reading.only(kept).into(made)
            meter.note(f"vocabulary keeps {len(kept):,} of {reading.words.size:,} tokens of {reading.file}.")
        if made is artefact:
            raise _refused(
                f"finds fewer than {WORTH:.0%} of the tokens to drop: the others occur or are parts of those"
            )
        return replace(made, graph=graph.close())


@dataclass(frozen=True, slots=True)
class Reading:
    """A vocabulary in a file, with the feeds that read by it."""

    file: str
    words: Words
    content: bytes
    feeds: tuple[Feed, ...]

    def kept(self, split: Split, least: int, meter: Meter) -> Ints:
        """Return the numbers of the tokens that stay, ascending.

        With ``least`` above 1 rare tokens go first, and what their words are then cut into is counted before the rest
        goes.
        """
        size, rare = self.words.size, set[int]()
        total = self.counts(split, meter)
        for _ in range(PASSES):
            fresh = set(np.flatnonzero((total > 0) & (total < least)).tolist()) - rare
            if not fresh:
                break
            rare |= fresh
            some = _sorted(self.words.needed(set(range(size)) - rare))
            total = np.zeros(size, np.int64)
            total[some] = self.only(some).counts(split, meter)[: len(some)]
        return _sorted(self.words.needed(np.flatnonzero(total >= least).tolist()))

    def counts(self, split: Split, meter: Meter) -> Ints:
        """Return how often each token stands in some rows, in all that there is time for, shape (size,)."""
        total = np.zeros(self.words.size, np.int64)
        for feed in self.feeds:
            extract = FRONT_ENDS[feed.front_end](feed, {self.file: self.content})
            for start in range(0, len(split), extract.batch):
                rows = split.take(np.arange(start, min(start + extract.batch, len(split))))
                total += np.bincount(extract(rows.columns)[feed.inputs[0]].ravel(), minlength=len(total))
                if meter.remaining() <= 0 and start + extract.batch < len(split):
                    meter.note(f"vocabulary had time to count tokens in {start + len(rows):,} of {len(split):,} rows.")
                    break
        return total

    def only(self, kept: Ints) -> Reading:
        """Return the reading with some of the tokens, numbered anew."""
        content = self.words.only(kept)
        feeds = tuple(
            feed if "pad" not in feed.options else _padded(feed, int(np.searchsorted(kept, feed.options["pad"])))
            for feed in self.feeds
        )
        return Reading(self.file, words_of(content, feeds[0]), content, feeds)

    def into(self, artefact: Artefact) -> Artefact:
        """Return an artefact with this vocabulary and its feeds."""
        mine = {feed.inputs: feed for feed in self.feeds}
        feeds = tuple(mine.get(feed.inputs, feed) for feed in artefact.feeds)
        return replace(artefact, feeds=feeds, files={**artefact.files, self.file: self.content})


def readings_of(artefact: Artefact) -> list[Reading]:
    """Return the vocabularies of a model, each with the feeds that read by it."""
    by_file: dict[str, list[Feed]] = {}
    for feed in artefact.feeds:
        if feed.front_end in FILE:
            by_file.setdefault(str(feed.options[FILE[feed.front_end]]), []).append(feed)
    held = artefact.files
    return [Reading(name, words_of(held[name], some[0]), held[name], tuple(some)) for name, some in by_file.items()]


def words_of(content: bytes, feed: Feed) -> Words:
    """Return the vocabulary in the file of a feed."""
    return Grams.read(content) if feed.front_end in LISTED else Pieces.read(content, pad=int(feed.options["pad"]))


def _padded(feed: Feed, pad: int) -> Feed:
    return replace(feed, options={**feed.options, "pad": pad})


def _sorted(numbers: set[int]) -> Ints:
    return np.array(sorted(numbers), np.int64)


def _refused(why: str) -> LeverRefused:
    return LeverRefused(f"vocabulary {why}; leave it out with `levers: {{without: [vocabulary]}}`")
