"""What every page is made of: its head, its style, its one script, and the policy that allows nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

from steelyard.report.markup import Markup, tag
from steelyard.report.say import say

PAGE = ("arithmetic.js", "words.js", "tables.js", "again.js", "main.js")
"""Modules of a run's page, in the order in which each is known to the next."""


def document(title: str, body: Markup, scripts: tuple[str, ...], data: Markup, *buttons: Markup) -> str:
    """Return a whole page. It asks the network for nothing."""
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy(*scripts)),
        tag("title", title),
        tag("style", _css()),
    )
    language = tag("button", "中文", type="button", id="language", lang="zh-CN")
    tools = tag("nav", language, *buttons, class_="tools", aria_label="page", data_l="page", hidden="")
    tip = tag("div", id="tip", role="tooltip", hidden="")
    inside = (tools, body, tip, data, tag("script", script(*scripts), type="module"))
    return f"<!doctype html>\n{tag('html', tag('head', *head), tag('body', *inside), lang='en')}\n"


def button(name: str, words: str) -> Markup:
    """Return a button of the page's tools."""
    return tag("button", say(words), type="button", id=name)


@cache
def _css() -> Markup:
    return Markup(files("steelyard.report").joinpath("page.css").read_text(encoding="utf-8"))


@cache
def script(*names: str) -> Markup:
    """Return modules as one: what they import from one another they have by standing together."""
    texts = [files("steelyard.report").joinpath(f"page/{name}").read_text(encoding="utf-8") for name in names]
    return Markup("\n".join(re.sub(r"^import [^;]*;\n", "", text, flags=re.MULTILINE) for text in texts))


@cache
def policy(*names: str) -> str:
    """Return a page's Content-Security-Policy: nothing from anywhere, and its one script by its hash."""
    digest = base64.b64encode(hashlib.sha256(script(*names).encode()).digest()).decode()
    return (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        f"script-src 'sha256-{digest}'"
    )
