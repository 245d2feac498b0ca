"""What levers ask of the training of an encoder: the settings of each, in one place for levers and learner."""

from __future__ import annotations

from collections.abc import Mapping

from steelyard.contracts import Setting, Space

SPACES: Mapping[str, Space] = {
    "pretrained": Space(
        {
            "checkpoint": Setting(default="", about="Which weights training starts from, as name@digest."),
            "scratch": Setting(
                default=False, options=(False, True), about="Whether to begin with random weights of the same shape."
            ),
        }
    ),
    "freeze": Space(
        {
            "share": Setting(
                default=0.5, low=0.0, high=1.0, about="Share of the layers, the lowest, that stay as they are."
            ),
            "gradual": Setting(
                default=False,
                options=(False, True),
                about="Whether the others are let go one by one, the highest first, all of them by the last epoch.",
            ),
        }
    ),
    "lora": Space(
        {
            "rank": Setting(default=8, low=1, high=64, log=True, about="Columns of each pair of small matrices."),
            "where": Setting(
                default="all",
                options=("all", "attention"),
                about="Which matrices get a pair: all, or those of queries and values.",
            ),
        }
    ),
    "ia3": Space(
        {"rescale": Setting(default=True, options=(True,), about="Keys, values and inner units are rescaled.")}
    ),
    "prefix": Space(
        {"tokens": Setting(default=16, low=1, high=128, log=True, about="Keys and values that stand before a text's.")}
    ),
    "adapter": Space(
        {
            "size": Setting(
                default=48, low=4, high=256, log=True, about="Width of the bottleneck behind each half layer."
            )
        }
    ),
}
"""The settings of each lever's part of a plan."""

FEW = ("lora", "ia3", "prefix", "adapter")
"""The ways to train few numbers and leave all others; at most one of them at a time."""
HONOURS = frozenset(SPACES)
