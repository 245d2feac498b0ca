"""Habits of the house that no linter checks."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import steelyard

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(m.name for m in pkgutil.iter_modules(steelyard.__path__, "steelyard.") if m.ispkg)
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def tracked():
    """Return the files that are kept in the repository, or would be."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("this is no git checkout")
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


@pytest.mark.parametrize("name", PACKAGES)
def test_what_a_package_makes_public_is_there_and_is_documented(name):
    package = importlib.import_module(name)
    assert package.__doc__
    for public in getattr(package, "__all__", ()):
        thing = getattr(package, public)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), f"{name}.{public} has no docstring"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT / "src").as_posix())
def test_a_file_is_short_enough_to_read(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.body[0].lineno + 1 - _docstring_lines(node)
            assert lines <= 50, f"{node.name} has {lines} lines"


def _docstring_lines(node):
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return (first.end_lineno - first.lineno + 1) if is_docstring else 0


def test_no_file_names_a_folder_of_this_machine():
    here = re.compile("|".join(re.escape(f"{place}/") for place in {ROOT, Path.home()} if len(place.parts) > 1))
    named = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if here.search(text):
            named.append(path.relative_to(ROOT).as_posix())
    assert not named


def test_the_constraints_hold_versions_and_no_addresses():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines)
    assert any(line.startswith("torch==") for line in lines)


def test_every_package_that_is_asked_for_has_a_version_in_the_constraints():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    names = {re.split(r"[\[<>=~!; ]", r)[0].lower().replace("_", "-") for r in asked} - {"steelyard"}
    pinned = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    assert not names - pinned


def test_the_version_is_in_the_changelog():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_makefile_describes_every_target_that_a_reader_would_call():
    done = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("install", "demo", "test", "lint", "bench-start", "clean"):
        assert re.search(rf"^ +{target} +\S", done.stdout, re.MULTILINE)


def test_a_python_that_is_too_old_or_absent_is_named_with_the_way_out():
    absent = subprocess.run(
        ["sh", ".ci/preflight", "no-such-python"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert absent.returncode == 1
    assert "missing: no-such-python, 3.11 or newer" in absent.stderr
    fine = subprocess.run(
        ["sh", ".ci/preflight", sys.executable], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert fine.returncode == 0, fine.stderr
