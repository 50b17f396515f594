"""Random crops from decoded images in memory; the batch of a step is a pure function of (seed, step).

That makes resuming exact and lets any number of processes learn the same: each takes its slice of the global batch.
Crops are gathered as uint8 by NumPy and become float tensors on the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from srbench.degradations import How, get_degradation
from srbench.errors import InputError
from srbench.images import imresize, luma
from srbench.training.data.decode import U8
from srbench.training.data.images import MARGIN, TrainingImages

_PIXEL = np.dtype("V3")


@dataclass(frozen=True)
class Crops:
    """Where the crops of one global batch lie, before they are sliced by rank.

    Attributes:
        image: ``(N,)`` index of the image.
        top: ``(N,)`` the crop's first row, in LR pixels.
        left: ``(N,)`` the crop's first column, in LR pixels.
        orientation: ``(N,)`` 0–7: bit 0 flips columns, bit 1 flips rows, bit 2 swaps rows and columns.
    """

    image: npt.NDArray[np.int64]
    top: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]
    orientation: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Share:
    """Which slice of each global batch a process gets.

    Attributes:
        rank: number of the slice, from 0.
        world: how many there are.
    """

    rank: int = 0
    world: int = 1

    def of(self, batch: int) -> slice:
        """The slice's place in a batch; InputError where the batch cannot be cut into equal ones."""
        if batch % self.world:
            raise InputError(f"a batch of {batch} cannot be shared equally by {self.world} processes")
        return slice(self.rank * batch // self.world, (self.rank + 1) * batch // self.world)


WHOLE = Share()


class Sampler:
    """Batches of augmented LR and HR crops.

    Every image and copy is drawn equally often, whatever its size.

    Args:
        images: what to crop; with a margin where ``pre_upsampled``.
        patch: side of an LR crop.
        batch: crops of the global batch.
        seed: of every draw.
        augment: draw one of the 8 orientations for each crop.
        channels: ``"y"`` gives studio-range luma / 255, ``"rgb"`` the image on [0, 1].
        pre_upsampled: LR crops come upscaled (bicubic, not rounded) to the size of the HR crop, with the values that
            the upscaling of the whole LR image has there.
        share: which slice of the global batch this process gets.

    Raises:
        InputError: fewer images than a batch, or a batch that the processes cannot share equally.
    """

    def __init__(
        self,
        images: TrainingImages,
        patch: int,
        batch: int,
        seed: int,
        augment: bool = True,
        channels: Literal["y", "rgb"] = "rgb",
        pre_upsampled: bool = False,
        share: Share = WHOLE,
    ) -> None:
        if len(images.hr) < batch:
            raise InputError(
                f"{len(images.hr)} training images and copies are fewer than a batch of {batch}; "
                f"expected more images or a smaller batch"
            )
        self._slice = share.of(batch)
        if pre_upsampled and images.margin < MARGIN:
            raise InputError(f"an upscaled crop needs a margin of {MARGIN} LR pixels, not {images.margin}")
        self.images, self.patch, self.batch, self.seed = images, patch, batch, seed
        self.augment, self.channels, self.pre_upsampled = augment, channels, pre_upsampled
        self._degrade = get_degradation(images.degradation) if images.degradation else None
        self._room = np.array(images.sizes) // images.scale - patch + 1
        if self._room.min() < 1:
            raise InputError(f"a patch of {patch} LR pixels is larger than an image that was loaded for smaller ones")

    def draw(self, step: int) -> Crops:
        """The crops of the global batch of ``step``."""
        random = np.random.default_rng((self.seed, step))
        image = random.integers(len(self.images.hr), size=self.batch)
        corner = (random.random((self.batch, 2)) * self._room[image]).astype(np.int64)
        orientation = random.integers(8, size=self.batch)
        return Crops(image, corner[:, 0], corner[:, 1], orientation if self.augment else np.zeros_like(orientation))

    def gather(self, step: int) -> tuple[U8, U8]:
        """The own slice of ``step``'s crops: LR ``(n, p, p, 3)``, with its margin where upscaled, and HR, both uint8."""
        crops = self.draw(step)
        scale, side = self.images.scale, self.patch
        around = MARGIN if self.pre_upsampled else 0
        inset = self.images.margin - around
        chosen = range(self.batch)[self._slice]
        lr = np.empty((len(chosen), side + 2 * around, side + 2 * around, 3), np.uint8)
        hr = np.empty((len(chosen), side * scale, side * scale, 3), np.uint8)
        pairs = self.images.pairs(crops.image[self._slice].tolist())
        for row, (index, (small_image, image)) in enumerate(zip(chosen, pairs, strict=True)):
            top, left = crops.top[index], crops.left[index]
            orientation = int(crops.orientation[index])
            _copy(lr[row], small_image, top + inset, left + inset, orientation)
            _copy(hr[row], image, top * scale, left * scale, orientation)
            if self._degrade is not None:
                how = How(scale, seed=self.seed + 1, image=f"{step}/{index}")  # seed 0 is one published draw for all
                small = self._degrade(hr[row], how)
                lr[row] = np.pad(small, ((around, around), (around, around), (0, 0)), mode="symmetric")
        return lr, hr

    def tensors(self, lr: U8, hr: U8, device: torch.device) -> tuple[Tensor, Tensor]:
        """Gathered crops as float32 ``(n, C, H, W)`` on [0, 1] on ``device``, in channels_last layout for RGB."""
        small, large = self._floats(lr, device), self._floats(hr, device)
        if self.pre_upsampled:
            border = MARGIN * self.images.scale
            small = imresize(small, float(self.images.scale))[..., border:-border, border:-border]
        return small, large

    def tensors_at(self, step: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """LR and HR tensors of one step, as :meth:`batches` gives them."""
        return self.tensors(*self.gather(step), device)

    def of_batch(self, batch: int) -> Sampler:
        """A sampler of the same images and crops with another batch, all of which this process gets; LR is not upscaled."""
        return Sampler(self.images, self.patch, batch, self.seed, self.augment, self.channels)

    def batches(
        self, start: int, stop: int, device: torch.device, ahead: bool | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """LR and HR tensors of steps ``start`` to ``stop`` (not included).

        Args:
            start: the first step.
            stop: the step after the last.
            device: where the tensors shall lie.
            ahead: gather the next batch in a thread meanwhile; by default for a GPU. On a CPU the network has every core
                already: the thread would take turns with it, and hold Python's lock while it waits for its own.
        """
        if not (device.type == "cuda" if ahead is None else ahead):
            for step in range(start, stop):
                yield self.tensors_at(step, device)
            return
        with ThreadPoolExecutor(1, "sampler") as thread:
            coming = thread.submit(self.gather, start)
            for step in range(start, stop):
                lr, hr = coming.result()
                if step + 1 < stop:
                    coming = thread.submit(self.gather, step + 1)
                yield self.tensors(lr, hr, device)

    def _floats(self, crops: U8, device: torch.device) -> Tensor:
        planar = torch.from_numpy(crops).to(device, non_blocking=True).permute(0, 3, 1, 2).float()
        return (luma(planar) if self.channels == "y" else planar).div_(255)


def _copy(out: U8, image: U8, top: int, left: int, orientation: int) -> None:
    """Write one square crop into ``out``, flipped and rotated; both are seen as pixels of 3 bytes, moved as one."""
    crop = image[top : top + out.shape[0], left : left + out.shape[1]].view(_PIXEL)
    if orientation & 1:
        crop = crop[:, ::-1]
    if orientation & 2:
        crop = crop[::-1]
    if orientation & 4:
        crop = crop.transpose(1, 0, 2)
    np.copyto(out.view(_PIXEL), crop)
