"""Compile a net before it is trained."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import ClassVar

from steelyard.contracts import Context, Setting, Trial
from steelyard.levers.training._nets import NetLever, Option
from steelyard.recipe import Settings

LONG = 300.0
"""Seconds of training from which compiling is proposed: it takes up to a minute itself."""


class Compile(NetLever):
    """Compiles the net with ``torch.compile``: operations are fused into fewer kernels. Needs a C++ compiler on a CPU.

    What ships is exported from the same weights, so it costs and brings nothing there.
    """

    name = "compile"
    paper = (
        "Ansel et al.: PyTorch 2: Faster Machine Learning Through Dynamic Python Bytecode Transformation and Graph "
        "Compilation. ASPLOS 2024, doi:10.1145/3620665.3640366"
    )
    about = "Compiles a net before training (torch.compile): pays where a training takes many minutes."
    space: ClassVar[Mapping[str, Setting]] = {
        "compiled": Setting(default=True, options=(True, False), about="Whether it is compiled."),
    }

    def options(self, trial: Trial, context: Context) -> tuple[Option, ...]:
        """Return the one option where training takes long enough to pay for compiling, and there is a compiler."""
        if trial.seconds < LONG * max(context.parts, 1) or not any(map(shutil.which, ("c++", "g++", "clang++"))):
            return ()
        return (_COMPILED,)


_COMPILED = Option(
    settings=Settings(compiled=True),
    gain=(0.002, 0.0, 0.01),
    seconds=0.85,
    source="assumed; Ansel et al. 2024 measured 1.41 times the speed of training on an A100, and less on CPUs",
    why="fused operations take less time, once they are compiled",
)
