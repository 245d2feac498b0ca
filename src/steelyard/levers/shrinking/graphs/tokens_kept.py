"""Vocabularies without the entries that are not needed: what stays, with its new numbers, and the file that says so.

Of a ``tokenizer.json`` (the library ``tokenizers``) texts that hold none of what was dropped are cut as before:
WordPiece takes the longest piece that is known, and Unigram the likeliest cut, so that fewer pieces leave that one in
place; of BPE every join stays that leads to a token that stays. What was dropped is cut into smaller pieces: single
characters stay, of every script that the tokens that stay are written in.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from steelyard.bundle.front_ends.text import read_vocabulary, write_vocabulary
from steelyard.contracts import Ints
from steelyard.errors import need
from steelyard.levers.refusal import LeverRefused

BYTES = "ByteLevel"
"""The part of a tokenizer after which characters stand for bytes, whatever script they are of."""
SPACE = "\u2581"
"""What stands for a space in pieces of Unigram."""


class Words(Protocol):
    """A vocabulary in a file of a bundle."""

    @property
    def size(self) -> int:
        """How many numbers there are, counted from 0."""
        ...

    def needed(self, used: Collection[int]) -> set[int]:
        """Return what has to stay where some tokens are used: those, and what they and unknown words need."""
        ...

    def only(self, kept: Ints) -> bytes:
        """Return the file with some of the tokens, in ascending order of their old numbers; those are 0, 1, 2 ... ."""
        ...


@dataclass(frozen=True, slots=True)
class Grams:
    """A list of n-grams or features, the number one past it being that of nothing (front ends that count)."""

    grams: tuple[str, ...]

    @classmethod
    def read(cls, content: bytes) -> Grams:
        """Read the file."""
        return cls(tuple(read_vocabulary(content)))

    @property
    def size(self) -> int:
        """How many numbers there are, that of nothing included."""
        return len(self.grams) + 1

    def needed(self, used: Collection[int]) -> set[int]:
        """Return those that are used, and nothing."""
        return {*used, len(self.grams)}

    def only(self, kept: Ints) -> bytes:
        """Return the file with some of them."""
        return write_vocabulary([self.grams[number] for number in kept if number < len(self.grams)])


@dataclass(frozen=True, slots=True)
class Pieces:
    """A ``tokenizer.json``."""

    data: Mapping[str, Any]
    tokens: Mapping[int, str]
    """By their numbers."""
    always: frozenset[int]
    """Special tokens, added ones, and what stands for the unknown and for padding."""

    @classmethod
    def read(cls, content: bytes, *, pad: int) -> Pieces:
        """Read the file.

        Raises
        ------
        LeverRefused
            If its model is none that can be shortened.
        """
        read = need("tokenizers", for_="vocabulary").Tokenizer.from_buffer(content)
        data = json.loads(read.to_str())  # the library's own form of it, whatever version wrote the file
        kind = data["model"].get("type")
        if kind not in {"WordPiece", "BPE", "Unigram", "WordLevel"}:
            raise LeverRefused(
                f"vocabulary can shorten tokenizers of the kinds WordPiece, BPE, Unigram and WordLevel, and this is "
                f"{kind}; leave it out with `levers: {{without: [vocabulary]}}`"
            )
        tokens = {number: token for token, number in read.get_vocab(with_added_tokens=True).items()}
        always = {pad, *(int(one["id"]) for one in data["added_tokens"]), *_framing(data["post_processor"])}
        unknown = data["model"].get("unk_token")
        always |= {number for number, token in tokens.items() if unknown is not None and token == unknown}
        if kind == "Unigram" and data["model"]["unk_id"] is not None:
            always.add(int(data["model"]["unk_id"]))
        return cls(data, tokens, frozenset(always & tokens.keys() | {pad}))

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return 1 + max(*self.tokens, *self.always)

    @property
    def kind(self) -> str:
        """The model: WordPiece, BPE, Unigram or WordLevel."""
        return str(self.data["model"]["type"])

    def needed(self, used: Collection[int]) -> set[int]:
        """Return those that are used, the special ones, characters, and what joins lead through."""
        kept = {*used, *self.always}
        if self.kind != "WordLevel":
            kept |= self._characters(kept)
        return kept | self._parts(kept) if self.kind == "BPE" else kept

    def only(self, kept: Ints) -> bytes:
        """Return the file with some tokens, and with the joins that lead to these."""
        numbers = {int(old): new for new, old in enumerate(kept)}
        model = dict(self.data["model"])
        if self.kind == "Unigram":
            pieces = model["vocab"]
            model["vocab"] = [piece for old, piece in enumerate(pieces) if old in numbers]
            model["unk_id"] = None if model["unk_id"] is None else numbers[int(model["unk_id"])]
        else:
            model["vocab"] = {t: numbers[i] for t, i in model["vocab"].items() if i in numbers}
        if self.kind == "BPE":
            model["merges"] = [pair for pair in model["merges"] if self._leads(pair, model["vocab"])]
        whole = {**self.data, "model": model, "post_processor": _renumbered(self.data["post_processor"], numbers)}
        whole["added_tokens"] = [{**one, "id": numbers[int(one["id"])]} for one in self.data["added_tokens"]]
        whole["padding"] = None  # the front end pads by itself
        made = json.dumps(whole, ensure_ascii=False).encode()
        self._check(made, numbers)
        return made

    def _check(self, made: bytes, numbers: Mapping[int, int]) -> None:
        """Refuse where the library numbers the tokens of the file otherwise."""
        found = need("tokenizers", for_="vocabulary").Tokenizer.from_buffer(made).get_vocab(with_added_tokens=True)
        if found != {token: numbers[old] for old, token in self.tokens.items() if old in numbers}:
            raise LeverRefused(
                "vocabulary cannot renumber this tokenizer, whose added tokens are not numbered behind the others; "
                "leave it out with `levers: {without: [vocabulary]}`"
            )

    def _characters(self, used: Collection[int]) -> set[int]:
        """Return tokens of one character, in scripts that the used ones are written in."""
        bare = {number: self._bare(token) for number, token in self.tokens.items()}
        if BYTES in json.dumps([self.data["pre_tokenizer"], self.data["normalizer"]]):
            return {number for number, text in bare.items() if len(text) <= 1}
        scripts = {script(character) for number in used if number in bare for character in bare[number]}
        fits = {number for number, text in bare.items() if len(text) <= 1 and set(map(script, text)) <= scripts | {""}}
        return fits | {number for number, text in bare.items() if len(text) == 6 and text.startswith("<0x")}

    def _bare(self, token: str) -> str:
        """Return what of a token is text."""
        model = self.data["model"]
        head, tail = model.get("continuing_subword_prefix") or "", model.get("end_of_word_suffix") or ""
        text = token.removeprefix(head).removesuffix(tail)
        return text.removeprefix(SPACE) if self.kind != "WordPiece" else text

    def _parts(self, kept: Iterable[int]) -> set[int]:
        """Return what tokens of BPE are joined of, and what that is joined of."""
        vocabulary = self.data["model"]["vocab"]
        ways: dict[str, list[tuple[str, str]]] = {}
        for pair in self.data["model"]["merges"]:
            left, right = _sides(pair)
            ways.setdefault(self._joined(left, right), []).append((left, right))
        found: set[int] = set()
        waiting = [self.tokens[number] for number in kept if number in self.tokens]
        while waiting:
            for side in (side for way in ways.pop(waiting.pop(), ()) for side in way):
                found.add(vocabulary[side])
                waiting.append(side)
        return found

    def _leads(self, pair: str | list[str], known: Collection[str]) -> bool:
        """Tell whether both sides of a join are known, and what it leads to."""
        left, right = _sides(pair)
        return left in known and right in known and self._joined(left, right) in known

    def _joined(self, left: str, right: str) -> str:
        return left + right.removeprefix(self.data["model"].get("continuing_subword_prefix") or "")


def script(character: str) -> str:
    """Return what script a character is of, as the first word of its name says; nothing of what every script uses.

    Examples
    --------
    >>> [script(character) for character in "aж字7"]
    ['', 'CYRILLIC', 'CJK', '']
    >>> script("é")
    'LATIN'
    """
    return "" if character.isascii() else unicodedata.name(character, "").partition(" ")[0]


def _sides(pair: str | list[str]) -> tuple[str, str]:
    left, right = pair.split(" ") if isinstance(pair, str) else pair
    return left, right


def _framing(processor: Mapping[str, Any] | None) -> Iterator[int]:
    """Yield the numbers that a post-processor puts around texts."""
    for part in _steps(processor):
        for special in part.get("special_tokens", {}).values():
            yield from map(int, special["ids"])
        yield from (int(part[name][1]) for name in ("sep", "cls") if name in part)


def _renumbered(processor: Mapping[str, Any] | None, numbers: Mapping[int, int]) -> dict[str, Any] | None:
    """Return a post-processor with other numbers."""
    if processor is None:
        return None
    made = dict(processor)
    if "processors" in made:
        made["processors"] = [_renumbered(part, numbers) for part in made["processors"]]
    if "special_tokens" in made:
        special = made["special_tokens"]
        made["special_tokens"] = {k: {**v, "ids": [numbers[int(i)] for i in v["ids"]]} for k, v in special.items()}
    for name in {"sep", "cls"} & made.keys():
        made[name] = [made[name][0], numbers[int(made[name][1])]]
    return made


def _steps(processor: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    if processor is not None:
        yield processor
        for part in processor.get("processors", ()):
            yield from _steps(part)
