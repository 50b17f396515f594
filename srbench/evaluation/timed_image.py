"""The image that one pass is timed on."""

from __future__ import annotations

from torch import Tensor

from srbench.datasets.local import find_dataset
from srbench.images import as_rgb, imresize, luma, read_image, to_tensor
from srbench.upscaler import Upscaler


def network_input(upscaler: Upscaler, size: tuple[int, int], batch: int) -> Tensor:
    """A network's input for LR images of ``size`` (height, width): a real one, float32 in [0, 1], on the upscaler's device.

    Args:
        upscaler: whose channels and kind of input it has; upscaled already for a pre-upsampled network, whose time does not
            include that.
        size: of the LR image.
        batch: how often the image is in it.

    Returns:
        ``(batch, C, h, w)``.
    """
    factor = upscaler.scale if upscaler.traits.pre_upsampled else 1
    seen = to_tensor(as_rgb(read_image(find_dataset("sample").paths[0])))
    x: Tensor = imresize(seen, size=(size[0] * factor, size[1] * factor))
    if upscaler.channels == "y":
        x = luma(x.mul(255.0)).div(255.0)
    return x.clamp(0.0, 1.0).expand(batch, -1, -1, -1).contiguous().to(upscaler.device)
