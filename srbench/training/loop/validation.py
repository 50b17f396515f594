"""Validation images, which are not trained on, and the PSNR that decides which weights are kept.

Measured as the ``standard`` protocol measures test sets; a test set itself is never used for the choice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from srbench.datasets.local import ImageSet
from srbench.datasets.pairs import degrade, prepare_hr
from srbench.errors import InputError, counted, nearest
from srbench.images import as_rgb, imresize, planar
from srbench.measure import Measure
from srbench.photos import read_rounded
from srbench.protocol import Protocol, get_protocol
from srbench.references import References, cache_memory, size_of
from srbench.training.data.pairs import read_pair
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
        if not most:
            raise InputError(
                f"val = {val} of {counted(len(paths), 'image')}; at least two images are needed, one of them to train on"
            )
        if not 0 < val <= most:
            raise InputError(f"val = {val} of {counted(len(paths), 'image')}; expected 1 to {most}")
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
    """Validation images in memory, HR and LR as the ``standard`` protocol makes them, measured as it measures test sets.

    Args:
        paths: the images.
        scale: the upscaling factor.
        degradation: how LR is made, in the place of the protocol's.
        lr: the LR file of each image, where LR is not made.

    Raises:
        InputError: an image that cannot be read or is too small.
    """

    def __init__(
        self, paths: Sequence[Path], scale: int, degradation: str = "bicubic", lr: Mapping[Path, Path] | None = None
    ) -> None:
        self._protocol = get_protocol("standard")
        if degradation != "bicubic":
            self._protocol = Protocol(name="validation", degradation=degradation)
        self._scale = scale
        self._references = References()
        self._pairs: list[tuple[U8, U8]] = []
        for path in paths:
            try:
                self._pairs.append(read_pair(path, lr[path], scale) if lr else self._made(path))
            except InputError as error:
                text = str(error) if str(path) in str(error) or lr else f"{path}: {error}"
                raise InputError(f"{text}; {path.name} is for validation: val names others") from None

    def _made(self, path: Path) -> tuple[U8, U8]:
        """HR and the LR that is made of it."""
        hr = prepare_hr(read_rounded(path), self._scale, self._protocol)
        return hr, degrade(hr, self._scale, self._protocol, path.stem)

    @property
    def size(self) -> int:
        """Bytes of its images, which are always in memory."""
        return size_of(self._pairs)

    def keep_within(self, memory: float) -> None:
        """Bound what is prepared of its images and kept for the next validation.

        Args:
            memory: bytes; ``SRBENCH_CACHE_MEMORY`` and its default bound it as well.
        """
        self._references = References(int(max(0, min(memory, cache_memory()))))

    def scores(self, upscaler: Upscaler, perceptual: bool = False) -> dict[str, float]:
        """Means of a network: ``val_psnr`` (dB, Y, shave = scale).

        Args:
            upscaler: the network.
            perceptual: also ``val_lr_psnr``, ``val_lattice`` (dB) and, where AlexNet's weights can be had, ``val_lpips``; an
                adversarial run is judged by them, as its PSNR falls.
        """
        return self.scored(upscaler, perceptual)[0]

    def scored(self, upscaler: Upscaler, perceptual: bool = False) -> tuple[dict[str, float], list[float]]:
        """What :meth:`scores` gives, and what :meth:`each` gives, by measuring once."""
        metrics = ("psnr", "lr-psnr", "lpips", "lattice") if perceptual else ("psnr",)
        found = self._measured(lambda lr: upscale_array(upscaler, lr), metrics)
        means = {f"val_{name.replace('-', '_')}": float(np.mean(values)) for name, values in found.items()}
        return means, found["psnr"]

    def means(self, upscaler: Upscaler, metrics: Sequence[str]) -> dict[str, float]:
        """Mean over the images of each metric that all of them can have."""
        found = self._measured(lambda lr: upscale_array(upscaler, lr), metrics)
        return {name: float(np.mean(values)) for name, values in found.items()}

    def seconds(self, upscaler: Upscaler, perceptual: bool = False) -> float:
        """About how long :meth:`scores` takes, told from the first image."""
        begun, pairs = time.perf_counter(), self._pairs
        try:
            self._pairs = pairs[:1]
            self.scores(upscaler, perceptual)
        finally:
            self._pairs = pairs
        return (time.perf_counter() - begun) * len(pairs)

    def each(self, upscaler: Upscaler) -> list[float]:
        """PSNR (dB) of every image, in their order."""
        return self._measured(lambda lr: upscale_array(upscaler, lr))["psnr"]

    def bicubic(self) -> float:
        """``val_psnr`` of bicubic, which any network should pass soon."""
        return float(np.mean(self._measured(lambda lr: imresize(lr, float(self._scale)))["psnr"]))

    def _measured(self, upscale: Callable[[U8], U8], metrics: Sequence[str] = ("psnr",)) -> dict[str, list[float]]:
        """Scores of all images by metric; a metric that one of them cannot have is left out."""
        measure = Measure(metrics, self._protocol, self._scale, references=self._references)
        for number, (hr, lr) in enumerate(self._pairs):
            measure.add(str(number), planar(upscale(lr)), planar(hr), planar(lr))
        found = measure.scores()
        return {
            name: [value for value in scores.values if value is not None]
            for name, scores in found.items()
            if scores.status == "ok"
        }

    def samples(self, upscaler: Upscaler, count: int = 3, side: int = 48) -> list[tuple[U8, U8, U8]]:
        """LR, SR and HR crops from the middle of the first images, RGB, all of one size.

        Args:
            upscaler: the network.
            count: of images.
            side: of a crop in LR pixels, or what fits.
        """
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
