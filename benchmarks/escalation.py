"""What escalating only unsure rows saves: handwritten digits, a weak bundle before a strong one at 0.02 USD a row.

Half of the held-out rows calibrate; the other half is served, over HTTP, by two servers of this process. Prints what
was promised and what came of it.

    python benchmarks/escalation.py
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import ModuleType

import numpy as np

from steelyard.client import Client
from steelyard.escalate import Asked, describe, escalate
from steelyard.serve import Settings, make_app
from steelyard.serve.server import Server, _bound

ROOT = Path(__file__).resolve().parents[1]
PRICE, TOLERANCE = 0.02, 0.03


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def serve(folder: Path, escalate: Path | None = None) -> tuple[Server, str]:
    """Serve a folder in a thread; return the server and its address."""
    settings = Settings(no_keys=True, port=0, escalate=escalate)
    bound = _bound(settings)
    server = Server(make_app(folder, settings))
    threading.Thread(target=server.run, args=([bound],), daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return server, f"http://127.0.0.1:{bound.getsockname()[1]}"


def main() -> None:
    home = Path(tempfile.mkdtemp())
    world = module(ROOT / "tests" / "serve" / "escalation" / "world.py").make(home)
    half = len(world.rows) // 2
    _, dear = serve(world.strong)
    lines = world.file.read_text().splitlines()
    (home / "half.csv").write_text("\n".join(lines[: half + 1]) + "\n")
    asked = Asked(to=dear, price=f"{PRICE} USD", tolerance=TOLERANCE)
    plan = escalate(world.weak, home / "half.csv", asked)
    (home / "escalation.yaml").write_text(plan.to_yaml())
    _, address = serve(world.weak, home / "escalation.yaml")
    rows, truth = world.rows[half:], world.y[half:].astype(str)
    with Client(address) as client:
        answers = [answer for start in range(0, len(rows), 10) for answer in client.predict(rows[start : start + 10])]
    served = np.mean([answer.label == right for answer, right in zip(answers, truth, strict=True)])
    passed = np.mean([answer.details["stage"] == "remote" for answer in answers])
    alone, always = ((bundle.predict(rows) == truth).mean() for bundle in (world.cheap, world.dear))
    sys.stdout.write(
        f"{describe(plan)}\n\nserved {len(rows)} other rows: {passed:.1%} were escalated; accuracy {served:.4f}, where "
        f"the bundle alone has {alone:.4f} and the dear one {always:.4f}; a million decisions cost "
        f"{passed * PRICE * 1e6:,.0f} USD instead of {PRICE * 1e6:,.0f}\n"
    )


if __name__ == "__main__":
    main()
