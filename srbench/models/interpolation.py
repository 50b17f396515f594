"""Interpolators, which every network has to beat: MATLAB's ``imresize``, mirrored edges, float, unrounded."""

from __future__ import annotations

from torch import Tensor, nn

from srbench.images import imresize
from srbench.models import MODELS, Model, Paper

SCALES = (2, 3, 4, 8)


class Interpolator(nn.Module):
    """Upscales a float ``(N, C, H, W)`` by ``scale``, with any number of channels; no weights."""

    def __init__(self, method: str, scale: int) -> None:
        super().__init__()
        self.method = method
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        upscaled: Tensor = imresize(x, float(self.scale), method=self.method)
        return upscaled


def _register(method: str, radius: int, paper: Paper) -> None:
    def build(scale: int, channels: str = "rgb") -> Interpolator:  # noqa: ARG001  (any number of channels will do)
        return Interpolator(method, scale)

    MODELS.register(
        Model(
            name=method,
            display=method.capitalize(),
            build=build,
            paper=paper,
            channels="rgb",
            scales=SCALES,
            parameters=dict.fromkeys(SCALES, 0),
            receptive_radius=radius,
            interpolator=True,
        )
    )


_COMPARISON = Paper(
    "Comparison of Interpolating Methods for Image Resampling", 1983, "https://doi.org/10.1109/TMI.1983.4307610"
)
_register("nearest", 1, _COMPARISON)
_register("bilinear", 1, _COMPARISON)
_register(
    "bicubic",
    2,
    Paper(
        "Cubic Convolution Interpolation for Digital Image Processing",
        1981,
        "https://doi.org/10.1109/TASSP.1981.1163711",
    ),
)
_register(
    "lanczos",
    3,
    Paper(
        "Lanczos Filtering in One and Two Dimensions",
        1979,
        "https://doi.org/10.1175/1520-0450(1979)018<1016:LFIOAT>2.0.CO;2",
    ),
)
