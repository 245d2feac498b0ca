"""A small residual net, and the same net as an ONNX graph."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from steelyard.contracts import Feed
from steelyard.learners._graph import Graph

LARGE = 24
"""Pixels from which the first layer takes every other one: all others then cost a quarter, and digits lose nothing."""


class Unit(nn.Module):
    """A convolution and its normalisation."""

    def __init__(self, into: int, out: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into, out, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(out)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (n, out, height / stride, width / stride)."""
        return cast("Tensor", self.norm(self.conv(x)))


class Block(nn.Module):
    """Two units and a way around them."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.first = Unit(into, out, stride=stride)
        self.second = Unit(out, out)
        same = stride == 1 and into == out
        self.around: Unit | None = None if same else Unit(into, out, kernel=1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the units add to the input."""
        around = x if self.around is None else self.around(x)
        return torch.relu(self.second(torch.relu(self.first(x))) + around)


class Net(nn.Module):
    """From uint8 pixels to logits or values: scaling, three stages of blocks, the mean over places, a linear layer.

    Parameters
    ----------
    feed
        Says how many channels, and how high and wide the images are.
    width
        Channels of the first stage; each later one doubles them.
    blocks
        Blocks a stage.
    outputs
        Columns of the output.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, feed: Feed, width: int, blocks: int, outputs: int) -> None:
        super().__init__()
        channels = int(feed.options["channels"])
        large = max(feed.options["height"], feed.options["width"]) >= LARGE
        self.stem = Unit(channels, width, stride=2 if large else 1)
        self.blocks = nn.ModuleList()
        into = width
        for stage in range(3):
            for place in range(blocks):
                out = width * 2**stage
                self.blocks.append(Block(into, out, 2 if stage > 0 and place == 0 else 1))
                into = out
        self.head = nn.Linear(into, outputs)
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("scale", torch.ones(1, channels, 1, 1))

    def standardise(self, pixels: Tensor) -> None:
        """Take the mean and spread of pixels, a channel, from training images."""
        sample = pixels[:: max(1, len(pixels) // 2000)].float()
        self.mean.copy_(sample.mean((0, 2, 3), keepdim=True))
        self.scale.copy_(1 / sample.std((0, 2, 3), keepdim=True).clamp_min(1.0))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return shape (n, outputs)."""
        x = torch.relu(self.stem((pixels.float() - self.mean) * self.scale))
        for block in self.blocks:
            x = block(x)
        return cast("Tensor", self.head(x.mean((2, 3))))


def graph_of(net: Net, feed: Feed, *, probabilities: bool, spread: float = 1.0, centre: float = 0.0) -> bytes:
    """Return the net as a graph from uint8 ``image`` to ``scores``; each normalisation is folded into its convolution.

    Where no ``probabilities`` are wanted, the output is multiplied by ``spread`` and moved by ``centre``.
    """
    net = net.eval()
    graph, shape = Graph(), [feed.options[k] for k in ("channels", "height", "width")]
    x = graph.add("Cast", graph.input(feed.inputs[0], TensorProto.UINT8, ["n", *shape]), to=TensorProto.FLOAT)
    x = graph.add("Mul", graph.add("Sub", x, _array(graph, net.mean)), _array(graph, net.scale))
    x = graph.add("Relu", _unit(graph, net.stem, x))
    for block in net.blocks:
        x = _block(graph, cast("Block", block), x)
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    weight, bias = _numbers(net.head.weight), _numbers(net.head.bias)
    if probabilities:
        x = graph.add("Gemm", x, graph.constant(weight), graph.constant(bias), transB=1)
        scores = graph.add("Softmax", x, output="scores", axis=1)
    else:
        moved = (bias.astype(np.float64) * spread + centre).astype(np.float32)
        weight = (weight.astype(np.float64) * spread).astype(np.float32)
        scores = graph.add("Gemm", x, graph.constant(weight), graph.constant(moved), output="scores", transB=1)
    return graph.seal((scores, TensorProto.FLOAT, ["n", net.head.out_features]))


def _block(graph: Graph, block: Block, x: str) -> str:
    around = x if block.around is None else _unit(graph, block.around, x)
    inner = graph.add("Relu", _unit(graph, block.first, x))
    return graph.add("Relu", graph.add("Add", _unit(graph, block.second, inner), around))


def _unit(graph: Graph, unit: Unit, x: str) -> str:
    conv = fuse_conv_bn_eval(unit.conv, unit.norm)
    assert conv.bias is not None
    padding = [conv.kernel_size[0] // 2] * 4
    weight, bias = _array(graph, conv.weight), _array(graph, conv.bias)
    return graph.add("Conv", x, weight, bias, pads=padding, strides=list(conv.stride))


def _numbers(tensor: Tensor) -> NDArray[Any]:
    return tensor.detach().cpu().numpy()


def _array(graph: Graph, tensor: Tensor) -> str:
    return graph.constant(_numbers(tensor))
