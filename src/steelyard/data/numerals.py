"""Numbers that are not written plainly: ``1,234.5``, ``1.234,5 €``, ``12%``. Needs the standard library alone.

A column that writes its numbers so has a *notation*: the number 1234.5 as this column writes it, for example
``"$1,234.5"``, ``"1.234,5 €"``, ``"1 234,5"`` or ``"1234.5%"``. A percentage stays as it is written: ``12%`` is 12.
A sign of currency that is another than the column's does not fit: one amount must not pass for another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

SIGNS = ("€", "$", "£", "¥", "₹", "₽", "₩", "₺", "US$", "R$", "kr", "zł", "USD", "EUR", "GBP", "CHF", "CNY", "JPY")
PERCENT = "%"

PLAIN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
"""A number in plain notation."""

_SPACES = str.maketrans(dict.fromkeys("\u00a0\u2009\u202f", " ") | {"\u2019": "'", "\u2212": "-"})
_NOTATION = re.compile(r"(?P<before>\D*)1(?P<group>[,. ']?)234(?P<point>[.,])5(?P<after>\D*)")
_MARKED = re.compile(
    r"(?P<minus>[+-]?)(?P<before>[^\s0-9.,+-]{0,3}) ?(?P<inner>[+-]?)"
    r"(?P<bare>[.,]?[0-9][0-9.,' ]*)(?P<after>[^\s0-9]{0,3})"
)
_ZEROS = re.compile(r"[+-]?0[0-9]")
_WAYS = ((",", "."), (".", ","), ("", "."), ("", ","), (" ", "."), (" ", ","), ("'", "."))
"""Signs that group thousands and that stand before decimals, the more usual first."""


@lru_cache(maxsize=64)
def _pattern(notation: str) -> tuple[re.Pattern[str], str, str]:
    """Return what a cell in a notation looks like, and its signs of thousands and of decimals."""
    found = _NOTATION.fullmatch(notation)
    if found is None:
        raise ValueError(f"{notation!r} is not the number 1234.5 in some notation")
    group, point = found["group"], found["point"]
    sign = found["before"].strip() or found["after"].strip()
    whole = r"[0-9]+"
    if group:
        apart = re.escape(group)
        some = "{2,3}" if group == "," else "{3}"  # 12,34,567 in India
        whole = rf"(?:[0-9]{{1,3}}(?:{apart}[0-9]{some})*{apart}[0-9]{{3}}|[0-9]+)"
    body = rf"(?:{whole}(?:{re.escape(point)}[0-9]*)?|{re.escape(point)}[0-9]+)(?:[eE][+-]?[0-9]+)?"
    if not sign:
        return re.compile(rf"([+-]?)()({body})"), group, point
    mark = re.escape(sign)
    before = rf"([+-]?)(?:{mark} ?([+-]?))?({body})(?: ?{mark})?"
    return re.compile(before), group, point


def numeral_of(text: str, notation: str) -> float | None:
    """Return the number that a string writes in a notation, ``None`` where it writes none.

    Parameters
    ----------
    text
        A string without spaces at its ends.
    notation
        The number 1234.5 as the column writes it.

    Examples
    --------
    >>> [numeral_of(t, "1.234,5 €") for t in ("1.234,50 €", "-7", "12,5", "$ 3")]
    [1234.5, -7.0, 12.5, None]
    >>> numeral_of("-$1,234", "$1,234.5"), numeral_of("12 %", "1234.5%")
    (-1234.0, 12.0)
    """
    pattern, group, point = _pattern(notation)
    found = pattern.fullmatch(text.translate(_SPACES))
    if found is None or (found[1] and found[2]):
        return None
    digits = found[3].replace(group, "") if group else found[3]
    value = float(digits.replace(",", ".") if point == "," else digits)
    return -value if "-" in (found[1], found[2]) else value


def could_be_numeral(text: str) -> bool:
    """Tell whether a string looks like a number in some notation, plain or not.

    Examples
    --------
    >>> [could_be_numeral(t) for t in ("-1.5e3", "$ 1,200", "12 %", "1.234,5", "5 years", "abc", "2011-01-31")]
    [True, True, True, True, False, False, False]
    """
    if PLAIN.fullmatch(text):
        return True
    found = _MARKED.fullmatch(text.translate(_SPACES))
    return found is not None and (found["before"] or found["after"]) in ("", PERCENT, *SIGNS)


def notation_of(cells: Iterable[str]) -> str | None:
    """Return the notation in which all of some strings are numbers, ``None`` where there is none, or they are codes.

    A column is read as a whole: ``12,5`` and ``1.234`` together are European. Where all are like ``1,234`` the comma
    is taken for one of thousands (see :func:`is_ambiguous`). Digits with leading zeros are codes; so are groups of
    digits with spaces that are all equally long: telephone numbers.

    Examples
    --------
    >>> notation_of(["1,234.5", "12"]), notation_of(["1.234,5", "12"]), notation_of(["12,5", "7"])
    ('1,234.5', '1.234,5', '1234,5')
    >>> notation_of(["$5", "$1,200"]), notation_of(["5%", "7.5%"]), notation_of(["$5", "€5"])
    ('$1,234.5', '1234.5%', None)
    >>> notation_of(["007", "1,5"]), notation_of(["555 123 456", "555 987 654"])
    (None, None)
    """
    found = _mark_of([cell.translate(_SPACES) for cell in cells])
    if found is None:
        return None
    before, after, bare = found
    if any(_ZEROS.match(cell) for cell in bare):
        return None
    ways = [(".", ","), *_WAYS] if before + after not in ("", PERCENT) and _only_thousands(bare, ".") else _WAYS
    for group, point in ways:
        if all(numeral_of(cell, f"1{group}234{point}5") is not None for cell in bare) and not _is_code(bare, group):
            used = group if any(group in cell for cell in bare) else ""
            return f"{before}1{used}234{point}5{after}"
    return None


def _only_thousands(bare: Iterable[str], sign: str) -> bool:
    """Tell whether a sign stands somewhere, always before three digits, and no other sign does."""
    several = [cell.lstrip("+-") for cell in bare if not cell.isdigit()]
    return bool(several) and all(re.fullmatch(rf"[0-9]{{1,3}}({re.escape(sign)}[0-9]{{3}})*", cell) for cell in several)


def _is_code(bare: list[str], group: str) -> bool:
    """Tell whether digits in groups look like codes: all of one length, and longer than amounts are."""
    if group != " " or any(" " not in cell for cell in bare):
        return False
    lengths = {len(cell) for cell in bare}
    return len(lengths) == 1 and lengths.pop() >= len("123 456 789")


def _mark_of(cells: list[str]) -> tuple[str, str, list[str]] | None:
    """Return the one sign of currency or per cent before or after the numbers, and the numbers without it."""
    found = [_MARKED.fullmatch(cell) for cell in cells]
    marks = {(one["before"], one["after"]) for one in found if one is not None}
    bare = [(one["minus"] or one["inner"]) + one["bare"].strip() for one in found if one is not None]
    if len(bare) < len(cells) or any(one["minus"] and one["inner"] for one in found if one is not None):
        return None
    signed = {before or after for before, after in marks} - {""}
    if not signed:
        return "", "", bare
    if len(signed) > 1 or any(before and after for before, after in marks):
        return None
    (sign,) = signed
    if sign not in (*SIGNS, PERCENT) or (sign == PERCENT and ("", "") in marks):
        return None  # a share and a percentage in one column are two units
    leads = any(before for before, _ in marks)
    return (sign, "", bare) if leads else ("", sign if sign == PERCENT else f" {sign}", bare)


def is_ambiguous(cells: Iterable[str], notation: str) -> bool:
    """Tell whether what is taken for thousands might as well be decimals: it stands once, before three digits.

    Examples
    --------
    >>> is_ambiguous(["1,234", "987"], "1,234.5"), is_ambiguous(["1,234", "1,234,567"], "1,234.5")
    (True, False)
    """
    _, group, _ = _pattern(notation)
    bare = [re.sub(r"[^0-9.,]", "", cell) for cell in cells]
    return group in (",", ".") and _only_thousands(bare, group) and all(cell.count(group) <= 1 for cell in bare)
