"""Which 8-bit arithmetic a processor has, and what follows for how weights are rounded."""

from __future__ import annotations

import platform
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


class Instructions(StrEnum):
    """What a processor multiplies 8-bit numbers with; the fastest that it has."""

    AMX = "amx"
    VNNI = "vnni"
    AVX2 = "avx2"
    DOT = "dot"
    PLAIN = "plain"

    @property
    def saturates(self) -> bool:
        """Whether sums of two 8-bit products can overflow on the way, so that weights may use 7 bits only.

        ``vpmaddubsw`` adds two products of an unsigned and a signed byte into 16 bits: 2 x 255 x 127 does not fit.
        VNNI and AMX add into 32 bits. See Intel's oneDNN guide, "Nuances of int8 computations", and ONNX Runtime's
        pages on quantisation, which advise ``reduce_range`` there.
        """
        return self is Instructions.AVX2


def named(flags: Collection[str], machine: str) -> Instructions:
    """Return what a processor with these flags has; one that says nothing of itself is taken for one that saturates.

    Examples
    --------
    >>> named({"avx2", "avx512_vnni"}, "x86_64"), named({"avx2"}, "x86_64"), named({"asimd", "asimddp"}, "aarch64")
    (<Instructions.VNNI: 'vnni'>, <Instructions.AVX2: 'avx2'>, <Instructions.DOT: 'dot'>)
    """
    if machine.lower() in {"aarch64", "arm64"}:
        return Instructions.DOT if "asimddp" in flags or not flags else Instructions.PLAIN
    if "amx_int8" in flags:
        return Instructions.AMX
    if {"avx512_vnni", "avx_vnni"} & set(flags):
        return Instructions.VNNI
    return Instructions.AVX2


def of_this_machine() -> Instructions:
    """Return what the processor has that this runs on."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "").partition(":")[2].split()
    return named(frozenset(flags), platform.machine())
