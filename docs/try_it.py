"""Take a picture of the page at /docs of a server: the demo's bundle, a row typed, the answer shown: ``make try-it``.

``python docs/try_it.py [RUN]`` takes a run instead of the demo. It needs Chromium (``chromium`` on the PATH) and the
package playwright, which is one of the development's.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGE = ROOT / "docs" / "try-it.png"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--hide-scrollbars"]
WIDE, HIGH = 1100, 900
STEELYARD = (sys.executable, "-m", "steelyard.cli")


def serve(run: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a server of a run; return it with its address."""
    command = [*STEELYARD, "serve", str(run), "--no-keys", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    line = server.stdout.readline()
    return server, line.partition("serving at ")[2].split(",")[0]


def picture(page: Page, address: str) -> None:
    """Fill the form with the middle of each column, ask, and take the picture once the answer is there."""
    page.goto(f"{address}/docs")
    page.wait_for_selector("#fields [data-column]")
    row = page.evaluate("fetch('/openapi.json').then(told => told.json()).then(told => told.components.schemas.Row)")
    for column, about in row["properties"].items():
        field = page.locator(f'#fields [data-column="{column}"]')
        if field.get_attribute("type") != "file":
            field.fill(str(about.get("examples", ["a"])[0]))
    page.get_by_role("button", name="Try").click()
    page.wait_for_selector("#answer .answer")
    page.screenshot(path=IMAGE, full_page=True)


def main(run: Path) -> None:
    """Serve a run and take the picture of its page."""
    server, address = serve(run)
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            picture(browser.new_page(viewport={"width": WIDE, "height": HIGH}), address)
            browser.close()
    finally:
        server.terminate()
        server.wait(20)
    print(f"made {IMAGE.relative_to(ROOT)}, {IMAGE.stat().st_size:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "demo"
            subprocess.run([*STEELYARD, "demo", "--out", str(made)], check=True, stdout=subprocess.DEVNULL)
            main(made)
