"""The page's own words: each is marked with its key, so that the page can say it in another language."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from steelyard.report.markup import Markup, tag


@cache
def chinese() -> dict[str, str]:
    """Return the table of the page's words: English to Chinese. ``{0}`` stands for what a word speaks of."""
    text = files("steelyard.report").joinpath("page/words.json").read_text(encoding="utf-8")
    return {str(english): str(said) for english, said in json.loads(text).items()}


def filled(words: str, *given: str) -> str:
    """Return a word with what it speaks of.

    Examples
    --------
    >>> filled("{0} of {1} rows", "3", "20")
    '3 of 20 rows'
    """
    for place, value in enumerate(given):
        words = words.replace(f"{{{place}}}", value)
    return words


def marks(words: str, *given: str) -> dict[str, str]:
    """Return the attributes of an element that says a word.

    Raises
    ------
    KeyError
        If the word is not in the table, and so could not be said in Chinese.
    """
    if words not in chinese():
        raise KeyError(f"words.json has no {words!r}; add it with its Chinese")
    return {"data_t": words, **({"data_g": json.dumps(given, ensure_ascii=False)} if given else {})}


def say(words: str, *given: str) -> Markup:
    """Return a word of the page's own, marked."""
    return tag("span", filled(words, *given), **marks(words, *given))


def english(sentence: str) -> Markup:
    """Return a sentence that Python made, which stays English in the Chinese view."""
    return tag("span", sentence, lang="en")
