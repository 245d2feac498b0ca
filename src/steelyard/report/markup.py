"""HTML and SVG built from elements: text is escaped unless it was made here."""

from __future__ import annotations

import html


class Markup(str):
    """Markup that is safe to join: every text in it has been escaped."""

    __slots__ = ()


def tag(name: str, /, *children: str | None, **attributes: str | float | None) -> Markup:
    """Return an element; ``None`` among children or attributes is left out.

    A trailing underscore of an attribute is dropped (``class_``), other underscores become hyphens.

    Examples
    --------
    >>> tag("p", "1 < 2 & ", tag("b", "bold"), class_="note", data_label='"x"')
    '<p class="note" data-label="&quot;x&quot;">1 &lt; 2 &amp; <b>bold</b></p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = join(*children)
    return Markup(f"<{name}{given}>{inner}</{name}>" if inner or name not in _VOID else f"<{name}{given}>")


_VOID = frozenset({"meta", "br", "hr", "input"})


def join(*children: str | None) -> Markup:
    """Put elements and texts after one another."""
    return Markup("".join(c if isinstance(c, Markup) else html.escape(c) for c in children if c is not None))


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
