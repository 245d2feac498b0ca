"""CoNLL files: a token and its tag on each line, a blank line between sentences. Needs the standard library alone.

Cells are parted by tabs where the file has any, else by white space; the first is the token and the last its tag. What
stands between them (parts of speech, chunks) is passed over. Lines of ``-DOCSTART-`` part documents and are no tokens,
and a line that begins with ``#`` and has no tag is a comment. A line with a token alone has no tag.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from steelyard.data.encoding import decode, read_bytes
from steelyard.errors import DataUnreadable

CONLL_ENDINGS = (".conll", ".iob", ".iob2", ".bio", ".bioes", ".bilou")
TOKENS = "tokens"
"""What the column of tokens is called."""
DOCUMENT = "-DOCSTART-"

Sentence = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tagged:
    """Sentences of a file: their tokens, and their tags; ``None`` for a sentence of which a token has none.

    ``between`` counts the columns that were passed over.
    """

    tokens: list[Sentence]
    tags: list[Sentence | None]
    between: int = 0

    @property
    def is_tagged(self) -> bool:
        """Whether any sentence has tags."""
        return any(tags is not None for tags in self.tags)


def read_conll(path: Path) -> Tagged:
    """Read a CoNLL file, gzipped or not.

    Raises
    ------
    DataUnreadable
        If it cannot be opened, is not UTF-8, or holds no token.
    """
    return parse_conll(decode(read_bytes(path), path), path)


def parse_conll(text: str, path: Path) -> Tagged:
    r"""Read the text of a CoNLL file; ``path`` is named in errors.

    Raises
    ------
    DataUnreadable
        If it holds no token.

    Examples
    --------
    >>> parse_conll("# a comment\nOslo B-loc\nsleeps O\n\n# O\n", Path("a.conll"))
    Tagged(tokens=[('Oslo', 'sleeps'), ('#',)], tags=[('B-loc', 'O'), ('O',)], between=0)
    """
    lines = [line.rstrip("\r") for line in text.split("\n")]
    delimiter = "\t" if any("\t" in line for line in lines) else None
    cells = [_cells(line, delimiter) for line in lines]
    width = _usual(cells)
    tokens: list[Sentence] = []
    tags: list[Sentence | None] = []
    for sentence in _sentences(cells, width):
        tokens.append(tuple(first for first, *_ in sentence))
        known = all(len(line) > 1 and line[-1] not in {"", "_"} for line in sentence)
        tags.append(tuple(line[-1] for line in sentence) if known else None)
    if not tokens:
        raise DataUnreadable(f"{path} holds no token; write one a line, a tab and its tag, and a blank line between")
    return Tagged(tokens, tags, max(0, width - 2))


def _cells(line: str, delimiter: str | None) -> list[str]:
    """Return the cells of a line without white space at their ends; none where it is blank."""
    if not line.strip():
        return []
    return [cell.strip() for cell in line.split(delimiter)]


def _usual(cells: Iterable[Sequence[str]]) -> int:
    """Return how many cells most lines have, blank ones left out."""
    counts = Counter(map(len, cells))
    del counts[0]
    return max(counts, key=lambda width: (counts[width], width), default=0)


def _sentences(cells: Iterable[list[str]], width: int) -> Iterator[list[list[str]]]:
    sentence: list[list[str]] = []
    for line in cells:
        if line and line[0] != DOCUMENT:
            if line[0] and not _is_comment(line, width):
                sentence.append(line)
        elif sentence:
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def _is_comment(line: Sequence[str], width: int) -> bool:
    """Tell a comment from a token that is, or begins with, a number sign: that has as many cells as other lines."""
    return line[0].startswith("#") and len(line) != width and width > 1


def write_conll(tokens: Iterable[Sequence[str]], tags: Iterable[Sequence[str]]) -> str:
    r"""Return sentences as a CoNLL file: a token, a tab and its tag on each line, a blank line behind each sentence.

    White space inside a token is written as a space, so that a line stays a line.

    Examples
    --------
    >>> write_conll([("Oslo", "sleeps")], [("B-loc", "O")])
    'Oslo\tB-loc\nsleeps\tO\n\n'
    """
    return "".join(
        "".join(f"{' '.join(token.split()) or '_'}\t{tag}\n" for token, tag in zip(*sentence, strict=True)) + "\n"
        for sentence in zip(tokens, tags, strict=True)
    )
