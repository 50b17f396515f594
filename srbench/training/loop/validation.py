"""Validation images, which are not trained on, and the PSNR that decides which weights are kept.

Measured as the ``standard`` protocol measures test sets; a test set itself is never used for the choice.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from srbench.datasets.local import ImageSet
from srbench.datasets.pairs import degrade, prepare_hr
from srbench.errors import InputError, UnavailableError, nearest
from srbench.images import as_rgb, imresize, luma, read_image, shave
from srbench.metrics.lpips import lpips_distance
from srbench.metrics.lr_psnr import lr_psnr
from srbench.protocol import get_protocol
from srbench.upscaler import Upscaler, upscale_array

U8 = npt.NDArray[np.uint8]


def split(
    sets: Sequence[ImageSet], val: int | tuple[str, ...], val_from: Sequence[ImageSet] = ()
) -> tuple[list[Path], list[Path]]:
    """Training and validation images.

    Args:
        sets: the training sets.
        val: names of the validation images (without suffix), or how many, spread evenly over all.
        val_from: the sets that these are chosen from, ``sets`` by default; another training set is then judged on the same
            images.

    Raises:
        InputError: a name that no image has, or nothing left to train or to validate on.
    """
    val_from = val_from or sets
    paths = [path for images in val_from for path in images.paths]
    everything = [path for images in sets for path in images.paths]
    if isinstance(val, int):
        most = len(paths) - (val_from is sets)
        if not 0 < val <= most:
            raise InputError(f"val = {val} of {len(paths)} images; expected 1 to {most}")
        held = {paths[int((index + 0.5) * len(paths) / val)] for index in range(val)}
    else:
        stems = {path.stem for path in paths}
        for name in val:
            if name not in stems:
                guess = nearest(name, stems)
                where = "+".join(images.name for images in val_from)
                hint = f"; did you mean {guess!r}?" if guess else f"; give a number, as --set val={len(val)}"
                raise InputError(f"val names {name!r}, which no image of {where} is called{hint}")
        held = {path for path in paths if path.stem in val}
    train = [path for path in everything if path not in held]
    if not train or not held:
        raise InputError(f"val takes {len(held)} images of {len(everything)}; both parts need at least one")
    return train, [path for path in paths if path in held]


class Validation:
    """Validation images in memory, HR and LR as the ``standard`` protocol makes them.

    Raises:
        InputError: an image that cannot be read or is too small.
    """

    def __init__(self, paths: Sequence[Path], scale: int) -> None:
        self._protocol = get_protocol("standard")
        self._scale = scale
        self._pairs: list[tuple[U8, U8]] = []
        for path in paths:
            try:
                hr = prepare_hr(read_image(path), scale, self._protocol)
            except InputError as error:
                raise error if str(path) in str(error) else InputError(f"{path}: {error}") from None
            self._pairs.append((hr, degrade(hr, scale, self._protocol)))

    def scores(self, upscaler: Upscaler, perceptual: bool = False) -> dict[str, float]:
        """Means of a network: ``val_psnr`` (dB, Y, shave = scale).

        Args:
            upscaler: the network.
            perceptual: also ``val_lr_psnr`` (dB) and, if AlexNet's weights are available, ``val_lpips``; an adversarial
                run is judged by these, because its PSNR falls.
        """
        rows: list[dict[str, float]] = []
        for hr, lr in self._pairs:
            sr = upscale_array(upscaler, lr)
            rows.append({"val_psnr": self._score(sr, hr), **(self._perceptual(sr, hr, lr) if perceptual else {})})
        return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}

    def each(self, upscaler: Upscaler) -> list[float]:
        """PSNR (dB) of every image, in their order."""
        return [self._score(upscale_array(upscaler, lr), hr) for hr, lr in self._pairs]

    def _perceptual(self, sr: U8, hr: U8, lr: U8) -> dict[str, float]:
        sr_, hr_, lr_ = (torch.from_numpy(np.atleast_3d(p)).permute(2, 0, 1)[None] for p in (sr, hr, lr))
        scores = {"val_lr_psnr": float(lr_psnr(sr_, lr_, self._scale))}
        with contextlib.suppress(UnavailableError, InputError):  # no weights, or an image that is too small
            scores["val_lpips"] = float(lpips_distance(sr_, hr_))
        return scores

    def samples(self, upscaler: Upscaler, count: int = 3, side: int = 48) -> list[tuple[U8, U8, U8]]:
        """LR, SR and HR crops from the middle of the first images, RGB, all of one size: ``side`` LR pixels or what fits."""
        chosen = self._pairs[:count]
        side = min(side, *(edge for _, lr in chosen for edge in lr.shape[:2]))
        crops = []
        for hr, lr in chosen:
            top, left = ((edge - side) // 2 for edge in lr.shape[:2])
            small = lr[top : top + side, left : left + side]
            end = side * self._scale
            large = hr[top * self._scale : top * self._scale + end, left * self._scale : left * self._scale + end]
            crops.append((as_rgb(small), as_rgb(upscale_array(upscaler, small)), as_rgb(large)))
        return crops

    def bicubic(self) -> float:
        """The same of bicubic, which any network should pass soon."""
        return float(np.mean([self._score(imresize(lr, float(self._scale)), hr) for hr, lr in self._pairs]))

    def _score(self, sr: U8, hr: U8) -> float:
        border = self._protocol.shave(self._scale)
        difference = shave(luma(sr), border) - shave(luma(hr), border)
        error = float(np.mean(np.square(difference)))
        return 10 * math.log10(255**2 / error) if error else math.inf
