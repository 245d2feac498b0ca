"""ResNet-18 and ResNet-50 in plain PyTorch, with the names that published checkpoints give their parameters."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from steelyard.learners._image_net import pooled, relu

STAGES = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
"""Blocks of the four stages, by depth."""
STEMS = ("small", "middle", "large")
SMALL, MIDDLE = 48, 112
"""Pixels of the longer side below which the stem keeps the map's size, and below which it halves it once."""


def stem_for(side: int) -> str:
    """Return the stem for images of a longer side, in pixels.

    Examples
    --------
    >>> [stem_for(side) for side in (32, 64, 224)]
    ['small', 'middle', 'large']
    """
    return "small" if side < SMALL else "middle" if side < MIDDLE else "large"


class Basic(nn.Module):
    """Two 3 x 3 convolutions and a way around them."""

    wider = 1

    def __init__(self, into: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = _around(into, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the convolutions add to the input."""
        around = x if self.downsample is None else self.downsample(x)
        x = relu(self.bn1(self.conv1(x)))
        return relu(self.bn2(self.conv2(x)) + around)


class Bottleneck(nn.Module):
    """A 3 x 3 convolution between two of 1 x 1, on a quarter of the channels, and a way around them.

    The stride is that of the 3 x 3 convolution ("ResNet v1.5"), as in the checkpoints that are published today.
    """

    wider = 4

    def __init__(self, into: int, planes: int, stride: int) -> None:
        super().__init__()
        out = planes * self.wider
        self.conv1 = nn.Conv2d(into, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = _around(into, out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the convolutions add to the input."""
        around = x if self.downsample is None else self.downsample(x)
        x = relu(self.bn1(self.conv1(x)))
        x = relu(self.bn2(self.conv2(x)))
        return relu(self.bn3(self.conv3(x)) + around)


def _around(into: int, out: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and into == out:
        return None
    return nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))


class Body(nn.Module):
    """He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016, up to the mean over places.

    Parameters
    ----------
    channels
        1 or 3.
    depth
        18 or 50.
    width
        Channels of the first stage, 64 in the paper; each later one doubles them.
    stem
        ``"large"``: 7 x 7 with stride 2 and a max-pool, as in the paper, for 112 pixels and more; ``"middle"``: 3 x 3
        with stride 2; ``"small"``: 3 x 3 with stride 1, for 47 pixels and fewer.
    """

    def __init__(self, channels: int, depth: int, width: int, stem: str) -> None:
        super().__init__()
        block = Basic if depth == 18 else Bottleneck
        large = stem == "large"
        self.conv1 = nn.Conv2d(
            channels, width, 7 if large else 3, 1 if stem == "small" else 2, 3 if large else 1, bias=False
        )
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        into = width
        for stage, count in enumerate(STAGES[depth]):
            blocks = []
            for place in range(count):
                planes = width * 2**stage
                blocks.append(block(into, planes, 2 if stage > 0 and place == 0 else 1))
                into = planes * block.wider
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.features = into
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, Basic | Bottleneck):
                last = module.bn2 if isinstance(module, Basic) else module.bn3
                nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (n, features)."""
        x = self.maxpool(relu(self.bn1(self.conv1(x))))
        for stage in range(4):
            x = cast("Tensor", self.get_submodule(f"layer{stage + 1}")(x))
        return pooled(x)
