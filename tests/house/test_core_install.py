"""The core install alone answers rows, shows a run, and stays small."""

import subprocess
import sys
from pathlib import Path

import pytest

import steelyard as sy

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 250_000_000
TRAINING = {"lightgbm", "onnx", "optuna", "polars", "pyarrow", "scikit-learn", "scipy", "torch"}


@pytest.mark.slow
def test_an_environment_with_the_core_install_alone_predicts_and_shows(tmp_path):
    spec = sy.Spec(data="sklearn:breast_cancer", target="diagnosis", budget=sy.Budget(trials=2))
    sy.run(spec, out=tmp_path / "run", in_process=True)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "core"], check=True)
    python = tmp_path / "core" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", ROOT]
    subprocess.run(install, check=True, capture_output=True)
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True
    )
    assert not TRAINING & {line.partition("==")[0].lower() for line in listed.stdout.splitlines()}

    steelyard = tmp_path / "core" / "bin" / "steelyard"
    frame = sy.open_run(tmp_path / "run").dataset.rows.columns
    lines = [
        ",".join(f'"{name}"' for name in frame),
        *(",".join(map(repr, row)) for row in zip(*_first(frame), strict=True)),
    ]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    said = subprocess.run(
        [steelyard, "predict", tmp_path / "run", tmp_path / "rows.csv"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert said[0] == "prediction,probability_benign,probability_malignant"
    assert len(said) == 6
    shown = subprocess.run([steelyard, "show", tmp_path / "run", "--json"], check=True, capture_output=True, text=True)
    assert shown.stdout.startswith("{")

    site = next((tmp_path / "core" / "lib").glob("python3*/site-packages"))
    size = sum(f.stat().st_size for f in site.rglob("*") if f.is_file())
    assert size < MOST_BYTES, f"the core install takes {size:,} bytes"


def _first(frame):
    return [[float(v) for v in values[:5]] for values in frame.values()]
