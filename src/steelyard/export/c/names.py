"""Names, strings and numbers as C writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from steelyard.errors import ExportRefused

LONGEST = 4095
"""Bytes of a string that every C99 compiler takes."""

# Of C99 to C23, of C++, which may include the header, and macros that an implementation may have.
_KEYWORDS = """
alignas alignof and asm auto bool break case catch char class concept const constexpr continue decltype
default delete do double else enum explicit export extern false final float for friend goto if import inline
int long module mutable namespace new noexcept not nullptr operator or override private protected public
register requires restrict return short signed sizeof static struct switch template this throw true try
typedef typeid typename typeof union unsigned using virtual void volatile wchar_t while xor compl bitand bitor
not_eq and_eq or_eq xor_eq static_assert thread_local unix linux errno stdin stdout stderr
"""


class Names:
    """Identifiers that C takes, each given once.

    Examples
    --------
    >>> names = Names("field")
    >>> [names.take(words) for words in ("Credit amount", "credit-amount", "int", "2024", "城市", "", "int_")]
    ['credit_amount', 'credit_amount_2', 'int_', 'field_2024', 'field_1', 'field_2', 'int__2']
    """

    def __init__(self, other: str, reserved: Iterable[str] = ()) -> None:
        self._other, self._taken = other, {*reserved}
        self._nameless = 0

    def take(self, words: str) -> str:
        """Return an identifier in lower case for some words; what holds no letter or digit of ASCII is numbered."""
        plain = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:80].strip("_")
        if words.lower().rstrip("_") in _KEYWORDS.split():
            plain += "_"
        if not plain:
            self._nameless += 1
            plain = f"{self._other}_{self._nameless}"
        elif plain[0].isdigit():
            plain = f"{self._other}_{plain}"
        name, count = plain, 1
        while name in self._taken:
            count += 1
            name = f"{plain}_{count}"
        self._taken.add(name)
        return name


def string(value: str, what: str) -> str:
    r"""Return a string literal of the UTF-8 of some text, in ASCII and without trigraphs.

    Raises
    ------
    ExportRefused
        If it is longer than C99 promises to take.

    Examples
    --------
    >>> print(string('a"b\\ ??= é', "a value"))
    "a\"b\\ \?\?= \303\251"
    """
    content = value.encode(errors="surrogatepass")
    if len(content) > LONGEST:
        raise ExportRefused(
            f"{what} has {len(content):,} bytes, and a string of C99 {LONGEST:,}; export with --to onnx or --to ort"
        )
    escaped = {ord('"'): '\\"', ord("\\"): "\\\\", ord("?"): "\\?"}
    plain = (escaped.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}") for byte in content)
    return '"' + "".join(plain) + '"'


def comment(words: str) -> str:
    r"""Return words that can stand in a comment: in ASCII, on one line, without its end.

    Examples
    --------
    >>> comment("a */ b\n城 ??/")
    'a * / b \\u57ce ? ?/'
    """
    plain = " ".join(words.split()).encode("ascii", "backslashreplace").decode()
    return plain.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")


def real(value: float, *, double: bool = False) -> str:
    """Return a number that reads back as the same float, or double.

    Examples
    --------
    >>> real(0.1), real(3.0), real(0.1, double=True), real(float("-inf"))
    ('0.1f', '3.0f', '0.1', '-INFINITY')
    """
    if np.isnan(value):
        return "NAN"
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    text = repr(float(value)) if double else str(np.float32(value))
    text = text if any(sign in text for sign in ".e") else f"{text}.0"
    return text if double else f"{text}f"
