"""Olive's own quantisation passes, with their defaults: python olive_run.py GRAPH ROWS FOLDER (in Olive's environment).

Dynamic and static int8, and blocks of 4 bits; QDQ with per-channel weights beside the defaults, since ours has them.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from common import attempt, given
from olive.data.config import DataComponentConfig, DataConfig
from olive.data.registry import Registry
from olive.model import ONNXModelHandler
from olive.passes.olive_pass import create_pass_from_dict
from olive.passes.onnx.quantization import OnnxDynamicQuantization, OnnxStaticQuantization
from olive.passes.onnx.rtn_quantization import OnnxBlockWiseRtnQuantization

GRAPH, READER, FOLDER = given()


class Batches:
    """The calibration rows as Olive's loaders give them: pairs of inputs and a label that nobody reads."""

    batch_size = 1

    def __init__(self) -> None:
        self.held = [(batch, 0) for batch in READER.batches]

    def __len__(self) -> int:
        return len(self.held)

    def __iter__(self) -> Any:
        return iter(self.held)


@Registry.register_dataset()
def rows_given(**more: Any) -> Any:
    del more
    return Batches()


@Registry.register_dataloader()
def batches_given(dataset: Any, **more: Any) -> Any:
    del more
    return dataset


DATA = DataConfig(
    name="rows",
    load_dataset_config=DataComponentConfig(type="rows_given"),
    pre_process_data_config=DataComponentConfig(type="skip_pre_process"),
    post_process_data_config=DataComponentConfig(type="skip_post_process"),
    dataloader_config=DataComponentConfig(type="batches_given"),
)
PASSES: dict[str, tuple[Any, dict[str, Any]]] = {
    "dynamic": (OnnxDynamicQuantization, {"precision": "int8"}),
    "dynamic-per-channel": (OnnxDynamicQuantization, {"precision": "int8", "per_channel": True}),
    "static": (OnnxStaticQuantization, {"precision": "int8", "data_config": DATA}),
    "static-per-channel": (
        OnnxStaticQuantization,
        {"precision": "int8", "data_config": DATA, "per_channel": True, "activation_type": "uint8"},
    ),
    "blocks-4": (OnnxBlockWiseRtnQuantization, {}),
}


def run(name: str) -> None:
    kind, settings = PASSES[name]
    made = create_pass_from_dict(kind, settings, disable_search=True).run(
        ONNXModelHandler(model_path=str(GRAPH)), str(FOLDER / f"olive-{name}")
    )
    shutil.copy(Path(made.model_path), FOLDER / f"olive {name}.onnx")


for each in PASSES:
    attempt(f"olive {each}", lambda name=each: run(name))
