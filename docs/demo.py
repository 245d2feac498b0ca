"""Put the demo's real output into the READMEs, and a picture of its report beside them: ``make readme``.

The picture needs Chromium (``chromium`` on the PATH); without it the text alone is renewed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- demo output: begin -->", "<!-- demo output: end -->"
QUIET = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --hide-scrollbars"


def run(folder: Path) -> str:
    """Run the demo in a folder and return what it prints."""
    command = [Path(sys.executable).with_name("steelyard"), "demo", "--out", "runs/demo"]
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.replace(f"{folder}/", "").rstrip()


def paste(page: Path, output: str) -> None:
    """Put the output between the marks of a page."""
    text = page.read_text(encoding="utf-8")
    block = f"{BEGIN}\n```console\n$ steelyard demo\n{output}\n```\n{END}"
    page.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: block, text, flags=re.DOTALL), encoding="utf-8")


def picture(report: Path, image: Path) -> None:
    """Take a picture of the report's first screen."""
    browser = shutil.which("chromium")
    if browser is None:
        print("no chromium: the picture is left as it is")
        return
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, "--headless", *QUIET.split(), f"--user-data-dir={profile}", "--window-size=1100,1500"]
        subprocess.run([*command, f"--screenshot={image}", report.as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        said = run(Path(folder))
        for name in ("README.md", "README.zh-CN.md"):
            paste(ROOT / name, said)
        picture(Path(folder) / "runs" / "demo" / "report.html", ROOT / "docs" / "report.png")
