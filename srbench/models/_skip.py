"""A bicubic skip around any network: output = network(x) + bicubic enlargement of x.

Not part of the papers that it is put around, hence an option that a recipe, a card and a leaderboard name.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.images import resize_weights
from srbench.models._layers import MeanShifted

_REACH = 2  # an enlargement by an integer factor reads two pixels on each side


class BicubicUpsample(nn.Module):
    """Enlarges ``(N, C, H, W)`` by an integer as ``srbench.images.imresize`` does with mirrored edges.

    The four taps of each of the scale² output phases lie in one 5×5 window, so that the whole enlargement is one
    convolution of the padded picture and a pixel shuffle. (PyTorch's own bicubic has a = −0.75 and other edges.)
    Autocast is off in here: bf16 would cost a grey level. Nothing is saved in a state dict.
    """

    kernel: Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        # The taps of one LR pixel far from the edges, gathered into a window of 2 · _REACH + 1 positions.
        length = 8
        weights, index = resize_weights(length, length * scale, float(scale))
        taps = torch.zeros(scale, 2 * _REACH + 1, dtype=torch.float64)
        centre = length // 2
        for phase in range(scale):
            row = centre * scale + phase
            for weight, position in zip(weights[row], index[row], strict=True):
                if weight:
                    taps[phase, int(position) - centre + _REACH] += weight
        kernel = torch.einsum("ai,bj->abij", taps, taps).reshape(scale * scale, 1, 2 * _REACH + 1, 2 * _REACH + 1)
        self.register_buffer("kernel", kernel.float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        with torch.autocast(x.device.type, enabled=False):
            planes = x.to(self.kernel.dtype).reshape(n * c, 1, h, w)
            padded = planes.index_select(2, _mirrored(h, x.device)).index_select(3, _mirrored(w, x.device))
            phases = F.conv2d(padded, self.kernel)
            return F.pixel_shuffle(phases, self.scale).view(n, c, h * self.scale, w * self.scale)


def _mirrored(length: int, device: torch.device) -> Tensor:
    """Indices that pad an axis by ``_REACH`` on each side, the edge pixel repeated: 1 0 | 0 1 2 … ."""
    index = torch.arange(-_REACH, length + _REACH, device=device).remainder(2 * length)
    return torch.minimum(index, 2 * length - 1 - index)


class BicubicSkip(nn.Module):
    """``network(x) + bicubic(x)``; for a pre-upsampled network (``scale`` 1), ``network(x) + x``.

    The network then has only the detail to find, so its last layer starts near zero: weights and bias of the
    convolution that was registered last are multiplied by ``LAST_LAYER_FACTOR`` where they would otherwise start larger
    than ``NEAR_ZERO`` (FSRCNN's deconvolution starts at 0.001 by its paper). A network that adds a mean colour stops
    doing so, as the enlarged picture brings it.
    Keys of the network stand under ``network.``.

    Args:
        network: maps ``(N, C, H, W)`` to ``(N, C, scale·H, scale·W)``.
        scale: the enlargement, or 1.
    """

    LAST_LAYER_FACTOR = 0.1
    NEAR_ZERO = 0.005

    def __init__(self, network: nn.Module, scale: int) -> None:
        super().__init__()
        self.network = network
        self.enlarge = BicubicUpsample(scale) if scale > 1 else nn.Identity()
        if isinstance(network, MeanShifted):
            network.add_mean = False
        last = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)][-1]
        with torch.no_grad():
            if last.weight.std() > self.NEAR_ZERO:
                for parameter in last.parameters():
                    parameter.mul_(self.LAST_LAYER_FACTOR)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x) + self.enlarge(x)
