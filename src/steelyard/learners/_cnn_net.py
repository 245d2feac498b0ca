"""The body of a small residual net: as few operations as images of a size allow, most of them on small maps."""

from __future__ import annotations

from torch import Tensor, nn

from steelyard.learners._image_net import ImageNet, Unit, pooled, relu

SIZES = (24, 48, 96, 192)
"""Pixels of the longer side from which the stem halves its map once more: all later layers then cost a quarter."""


class Block(nn.Module):
    """Two units and a way around them, which is all there is of it when training begins."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.first = Unit(into, out, stride=stride)
        self.second = Unit(out, out)
        same = stride == 1 and into == out
        self.around: Unit | None = None if same else Unit(into, out, kernel=1, stride=stride)
        nn.init.zeros_(self.second.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the units add to the input."""
        around = x if self.around is None else self.around(x)
        return relu(self.second(relu(self.first(x))) + around)


class Body(nn.Module):
    """A stem that halves the map as often as the images are large, three stages of blocks, and the mean over places.

    Parameters
    ----------
    channels
        1 or 3.
    side
        Pixels of the longer side.
    width
        Channels of the first stage; each later one doubles them.
    blocks
        Blocks a stage.
    """

    def __init__(self, channels: int, side: int, width: int, blocks: int) -> None:
        super().__init__()
        halvings = sum(side >= size for size in SIZES)
        self.stem = nn.ModuleList()
        into = channels
        for place in range(max(2, halvings)):
            out = width if place == max(2, halvings) - 1 else max(8, width // 2)
            self.stem.append(Unit(into, out, stride=2 if place >= max(2, halvings) - halvings else 1))
            into = out
        self.blocks = nn.ModuleList()
        for stage in range(3):
            for place in range(blocks):
                out = width * 2**stage
                self.blocks.append(Block(into, out, 2 if stage > 0 and place == 0 else 1))
                into = out
        self.features = into

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (n, features)."""
        for unit in self.stem:
            x = relu(unit(x))
        for block in self.blocks:
            x = block(x)
        return pooled(x)


def made(channels: int, side: int, *, width: int, blocks: int, outputs: int) -> ImageNet:
    """Return an untrained net for images of a size."""
    body = Body(channels, side, width, blocks)
    return ImageNet(channels, body, body.features, outputs)
