"""Weights for a net of images from elsewhere: safetensors with the usual names, or the bundle of another run.

A pickle runs code when it is read, so none is. Of a bundle the graph is read: its convolutions, in the order in which
they are run, are those of the net that it was exported from, with the normalisation folded in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from steelyard.bundle.manifest import MANIFEST
from steelyard.bundle.opening import read as read_bundle
from steelyard.errors import BundleRefused, need
from steelyard.learners._image_net import ImageNet
from steelyard.learners._image_pixels import INPUT
from steelyard.learners._image_places import PICKLES, WAYS, CheckpointRefused, place_of, weights_in

HEADS = ("fc.", "head.", "classifier.")
"""What the parameters of a last layer are called; they belong to the classes of another task."""
COUNTER = "num_batches_tracked"
SAMPLE = 256
"""Training images from which the normalisation of a bundle's convolutions is found again."""
Weights = dict[str, Tensor]
Folded = list[tuple[Tensor, Tensor | None]]
"""Weight and bias of each convolution, in the order in which a graph runs them."""


def take_over(net: ImageNet, checkpoint: str, pixels: Tensor) -> None:
    """Give the body of a net the weights of a checkpoint, in place; its head is left as it was.

    Parameters
    ----------
    net
        Whose body is of the checkpoint's architecture; one of grey images takes the sum of a colour checkpoint's first
        filters, the other way round a third of each.
    checkpoint
        A folder with safetensors, such a file, or the folder of a bundle, with or without ``@`` and the first digits of
        its digest.
    pixels
        Training images, uint8 of shape (n, channels, height, width).

    Raises
    ------
    CheckpointRefused
        If it is absent, has another digest, is a pickle, damaged, quantised, or of another architecture.
    """
    place = place_of(checkpoint)
    if (place / MANIFEST).is_file():
        _unfold(net, _folded(place), pixels[:: max(1, len(pixels) // SAMPLE)], checkpoint)
        return
    held = _safetensors(place)
    body = net.body.state_dict()
    found = {name: _fitted(held[name], wanted) for name, wanted in body.items() if name in held}
    missing = sorted(name for name in body if name not in held and not name.endswith(COUNTER))
    strange = sorted(name for name in held if name not in body and not name.startswith(HEADS))
    for name, one in found.items():
        if one.shape != body[name].shape:
            raise _another(checkpoint, f"its {name} has shape {tuple(one.shape)}, not {tuple(body[name].shape)}")
    if missing or strange:
        what = f"it lacks {missing[0]}" if missing else f"it has {strange[0]}, which this net has not"
        raise _another(checkpoint, what)
    net.body.load_state_dict(found, strict=False)


def stem_of(checkpoint: str, usual: str) -> str:
    """Return the stem of the ResNet in a checkpoint of safetensors; of a bundle the usual one for images of this size.

    Raises
    ------
    CheckpointRefused
        If it is absent, a pickle or damaged.
    """
    place = place_of(checkpoint)
    if (place / MANIFEST).is_file():
        return usual
    first = _safetensors(place).get("conv1.weight")
    if first is None or first.shape[-1] == 3:
        return usual if usual != "large" else "middle"
    return "large"


def _safetensors(place: Path) -> Weights:
    files = weights_in(place)
    if not files:
        pickled = place.is_dir() and any(p.suffix.lower() in PICKLES for p in place.iterdir())
        why = "holds pickles alone, which run code when they are read" if pickled else "holds no weights"
        raise CheckpointRefused(f"{place} {why}: {WAYS}")
    library = need("safetensors", for_="a checkpoint")
    load = need("safetensors.torch", for_="a checkpoint").load_file
    held: Weights = {}
    for file in files:
        try:
            held |= load(str(file))
        except (library.SafetensorError, OSError, ValueError) as problem:
            raise CheckpointRefused(f"{file} cannot be read as safetensors ({problem}): {WAYS}") from None
    return held


def _another(checkpoint: str, what: str) -> CheckpointRefused:
    return CheckpointRefused(
        f"{checkpoint} is of another architecture than this net: {what}; take the learner, `depth` and `width` that it "
        "was made with, or another checkpoint"
    )


def _fitted(held: Tensor, wanted: Tensor) -> Tensor:
    """Return a first filter for as many channels as there are; anything else as it is."""
    same = held.ndim == 4 and wanted.ndim == 4 and held.shape[2:] == wanted.shape[2:] and len(held) == len(wanted)
    if not same or {held.shape[1], wanted.shape[1]} != {1, 3}:
        return held
    return held.sum(1, keepdim=True) if wanted.shape[1] == 1 else held.repeat(1, 3, 1, 1) / 3


# -------------------------------------------------------------------------------------------------- bundles


def _folded(place: Path) -> Folded:
    """Return the convolutions of a bundle's graph."""
    try:
        graph = onnx.load_from_string(read_bundle(place).artefact().graph).graph
    except BundleRefused as problem:
        raise CheckpointRefused(f"{problem}; {WAYS}") from None
    if any(node.op_type in {"ConvInteger", "QLinearConv", "DequantizeLinear"} for node in graph.node):
        raise CheckpointRefused(f"bundle {place} was quantised; give the one that it was made from")
    held: Mapping[str, NDArray[Any]] = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    if not nodes or any(name not in held for node in nodes for name in node.input[1:]):
        raise CheckpointRefused(f"bundle {place} holds no convolutions to start from: {WAYS}")
    return [
        (_tensor(held[node.input[1]]), _tensor(held[node.input[2]]) if len(node.input) > 2 else None) for node in nodes
    ]


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))


def _unfold(net: ImageNet, folded: Folded, pixels: Tensor, checkpoint: str) -> None:
    """Put folded convolutions into a net whose normalisations then neither add nor take away anything.

    Each normalisation is told the mean and spread that its convolution has on training images, and to bring back just
    those: the body computes what the bundle's did, and is ready to be trained further.
    """
    convolutions, norms = _in_order(net, pixels[:2])
    if len(convolutions) != len(folded) or len(norms) != len(folded):
        raise _another(checkpoint, f"it has {len(folded)} convolutions, not {len(convolutions)}")
    with torch.no_grad():
        for number, (convolution, (weight, _)) in enumerate(zip(convolutions, folded, strict=True), start=1):
            fitted = _fitted(weight, convolution.weight)
            if fitted.shape != convolution.weight.shape:
                wanted = tuple(convolution.weight.shape)
                raise _another(checkpoint, f"its convolution {number} has shape {tuple(fitted.shape)}, not {wanted}")
            convolution.weight.copy_(fitted)
        with _told(norms, [bias for _, bias in folded]):
            net.eval()({INPUT: pixels})
    net.train()


def _in_order(net: ImageNet, pixels: Tensor) -> tuple[list[nn.Conv2d], list[nn.BatchNorm2d]]:
    """Return convolutions and normalisations as they are run."""
    convolutions: list[nn.Conv2d] = []
    norms: list[nn.BatchNorm2d] = []

    def seen(module: nn.Module, _: object) -> None:
        if isinstance(module, nn.Conv2d):
            convolutions.append(module)
        elif isinstance(module, nn.BatchNorm2d):
            norms.append(module)

    handles = [module.register_forward_pre_hook(seen) for module in net.modules()]
    with torch.no_grad():
        net.eval()({INPUT: pixels})
    for handle in handles:
        handle.remove()
    return convolutions, norms


@contextmanager
def _told(norms: list[nn.BatchNorm2d], biases: list[Tensor | None]) -> Iterator[None]:
    """Have each normalisation take mean and spread from what comes to it, and give both back, and a bias with them."""

    def tell(norm: nn.BatchNorm2d, bias: Tensor | None) -> Any:
        def hook(_: nn.Module, given: tuple[Tensor]) -> None:
            mean, spread = given[0].mean((0, 2, 3)), given[0].var((0, 2, 3))
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(spread)
            norm.weight.copy_((spread + norm.eps).sqrt())
            norm.bias.copy_(mean if bias is None else mean + bias)

        return hook

    handles = [norm.register_forward_pre_hook(tell(norm, bias)) for norm, bias in zip(norms, biases, strict=True)]
    yield
    for handle in handles:
        handle.remove()
