"""Importing Steelyard is cheap: nothing heavy is loaded before somebody asks for it."""

import subprocess
import sys

import pytest

HEAVY = {"lightgbm", "matplotlib", "onnx", "onnxruntime", "optuna", "pandas", "polars", "pyarrow"}
HEAVY |= {"scipy", "sklearn", "torch"}


def modules_after(statement):
    code = f"{statement}; import sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


def test_import_steelyard_loads_nothing_heavy_and_few_modules():
    loaded = modules_after("import steelyard")
    assert not loaded & HEAVY
    assert len(loaded) < 300


@pytest.mark.parametrize(
    "module",
    [
        "cli",
        "client",
        "spec",
        "registry",
        "tasks",
        "data",
        "report",
        "load",
        "measure",
        "money",
        "decide",
        "deploy",
        "promise",
        "escalate",
    ],
)
def test_no_package_loads_anything_heavy_by_being_imported(module):
    assert not modules_after(f"import steelyard.{module}") & (HEAVY - {"onnxruntime"})


def test_running_a_bundle_needs_no_training_library():
    assert not modules_after("import steelyard.bundle") & (HEAVY - {"onnxruntime"})


def test_describing_every_learner_and_lever_needs_no_training_library():
    loaded = modules_after(
        "from steelyard.registry import learners, levers; [k.get(n) for k in (learners(), levers()) for n in k.names()]"
    )
    assert not loaded & {"catboost", "lightgbm", "pandas", "scipy", "sklearn", "torch"}
    assert "steelyard.learners._lightgbm" in loaded


def test_the_test_would_see_something_heavy():
    assert "sklearn" in modules_after("import sklearn") & HEAVY
