"""Where a net is trained: the device, its threads, its random numbers, and what running out of memory looks like."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_ON_A_CPU = "can't allocate memory"
_NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"


def device() -> torch.device:
    """Return the GPU where there is one, else the CPU; ``CUDA_VISIBLE_DEVICES=`` hides a GPU."""
    os.environ.setdefault(_NVML, "1")  # asked so, the driver is not woken, and the process may still fork
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let PyTorch use so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int, on: torch.device | None = None) -> Iterator[None]:
    """Have PyTorch's own generators start from a seed, and leave them as they were."""
    with torch.random.fork_rng(devices=[0] if on is not None and on.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def quick(on: torch.device) -> Iterator[None]:
    """Let a GPU multiply float32 matrices in TF32 for a while; a CPU is left alone."""
    before = torch.get_float32_matmul_precision()
    if on.type == "cuda":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def moved(tensors: dict[str, Tensor], to: torch.device) -> dict[str, Tensor]:
    """Return tensors on a device; to a GPU they go by pinned memory, while it still computes."""
    if to.type == "cpu":
        return tensors
    return {name: one.pin_memory().to(to, non_blocking=True) for name, one in tensors.items()}


def out_of_memory(problem: BaseException) -> bool:
    """Tell whether an error means that memory ran out, on a GPU or on a CPU."""
    if isinstance(problem, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(problem, RuntimeError) and _ON_A_CPU in str(problem)


def swept(on: torch.device) -> None:
    """Give back what a failed attempt left behind."""
    gc.collect()
    if on.type == "cuda":
        torch.cuda.empty_cache()
