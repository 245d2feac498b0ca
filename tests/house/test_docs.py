"""The pages say what the code does: those made from it are fresh, and the code on the others runs."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.errors import MEANING, Exit

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/extend.md")
FENCE = re.compile(r"(?P<mark><!-- [^\n]*? -->\n)?```(?P<kind>python|console)\n(?P<code>.*?)```", re.DOTALL)
"""A ``console`` block runs when the line above it is ``<!-- tested -->``; a ``python`` block always does, unless the
line above it is ``<!-- not run: REASON -->``. The blocks of a page run in order, in one empty folder."""


def made():
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "docs" / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


@pytest.mark.parametrize("name", ["exit-codes.md", "spec.md", "spec.schema.json"])
def test_a_page_that_is_made_from_the_code_is_fresh(name):
    kept = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert kept == made()[name], f"docs/{name} is stale; `make docs` makes it anew"


def test_every_exit_code_has_a_meaning_and_stands_on_the_page():
    assert set(MEANING) == set(Exit)
    page = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    assert [int(n) for n in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)] == [code.value for code in Exit]


def blocks(page):
    for found in FENCE.finditer((ROOT / page).read_text(encoding="utf-8")):
        mark = (found["mark"] or "").strip()
        if found["kind"] == "console" and mark == "<!-- tested -->":
            yield "console", found["code"]
        elif found["kind"] == "python" and not mark.startswith("<!-- not run:"):
            yield "python", found["code"]


def commands(code):
    """Return the commands of a console block: lines after ``$ ``, without their comments."""
    return [line[2:] for line in code.splitlines() if line.startswith("$ ")]


@pytest.mark.parametrize("page", [pytest.param(p, marks=pytest.mark.slow if "README" in p else ()) for p in PAGES])
def test_the_code_on_a_page_runs(page, tmp_path):
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    script = []
    for kind, code in blocks(page):
        script.append(code) if kind == "python" else script.extend(
            f"import subprocess; subprocess.run({command!r}, shell=True, check=True)" for command in commands(code)
        )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{page}:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"


def test_both_languages_show_the_same_code():
    assert list(blocks("README.md")) == list(blocks("README.zh-CN.md"))


def test_links_between_pages_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    dead = [
        f"{page.name}: {link}"
        for page in pages
        for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert not dead


def test_the_schema_for_editors_is_plain_json():
    assert json.loads((ROOT / "docs" / "spec.schema.json").read_text(encoding="utf-8"))["title"] == "Steelyard spec"
