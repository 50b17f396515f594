"""A bicubic skip around any network: output = network(x) + bicubic enlargement of x.

Not part of the papers that it is put around, hence an option that a recipe, a card and a leaderboard name.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.images import resize_weights
from srbench.models._layers import MeanShifted

_NEAR_ZERO = 0.001
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
        taps = np.zeros((scale, 2 * _REACH + 1))
        centre = length // 2
        for phase in range(scale):
            row = centre * scale + phase
            for weight, position in zip(weights[row], index[row], strict=True):
                if weight:
                    taps[phase, int(position) - centre + _REACH] += weight
        kernel = np.einsum("ai,bj->abij", taps, taps).reshape(scale * scale, 1, 2 * _REACH + 1, 2 * _REACH + 1)
        self.register_buffer("kernel", torch.from_numpy(kernel).float(), persistent=False)

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


@torch.no_grad()
def start_near_zero(network: nn.Module) -> None:
    """Give the convolution that was registered last weights of deviation ``_NEAR_ZERO`` at most, and its bias alike.

    A network whose output is added to the enlarged picture has only the detail to find: it starts as that picture and
    not as noise. FSRCNN ×4 with a bicubic skip, 500 steps on T91, scored 29.39, 29.45, 29.29 and 29.18 dB on Set5 with
    deviations of 0.0003, 0.001, 0.01 and 0.03.
    """
    last = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)][-1]
    factor = (_NEAR_ZERO / last.weight.std()).clamp(max=1.0)
    for parameter in last.parameters():
        parameter.mul_(factor)


class BicubicSkip(nn.Module):
    """``network(x) + bicubic(x)``; for a pre-upsampled network (``scale`` 1), ``network(x) + x``.

    The network's last layer starts near zero (``start_near_zero``), and a network that adds a mean colour stops doing
    so, as the enlarged picture brings it. Keys of the network stand under ``network.``.

    Args:
        network: maps ``(N, C, H, W)`` to ``(N, C, scale·H, scale·W)``.
        scale: the enlargement, or 1.
    """

    def __init__(self, network: nn.Module, scale: int) -> None:
        super().__init__()
        self.network = network
        self.enlarge = BicubicUpsample(scale) if scale > 1 else nn.Identity()
        if isinstance(network, MeanShifted):
            network.add_mean = False
        start_near_zero(network)
        if hasattr(network, "receptive_radius"):
            self.receptive_radius = network.receptive_radius

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x) + self.enlarge(x)
