"""FID, the Fréchet distance between Inception's features of two folders of images, through clean-fid (extra ``fid``).

Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter: GANs Trained by a Two Time-Scale Update Rule, NeurIPS 2017,
arXiv:1706.08500; Parmar, Zhang, Zhu: On Aliased Resizing and Surprising Subtleties in GAN Evaluation, CVPR 2022,
arXiv:2104.11222. It is a number of two sets, not of an image: it has no per-image scores, no interval and no test, and of few
images it is biased upwards.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srbench.errors import MissingExtraError, UnavailableError, counted

ENOUGH = 2048
"""Images from which Inception's 2048 features have a covariance of full rank."""


@dataclass(frozen=True)
class FolderScore:
    """FID of one folder, or why there is none.

    Attributes:
        value: None where the status is not ok.
        images: in the smaller folder.
        status: ``ok`` or ``unavailable``.
        reason: in words, with what to do.
    """

    value: float | None
    images: int
    status: str = "ok"
    reason: str = ""

    @property
    def text(self) -> str:
        """One line."""
        if self.value is None:
            return f"FID: {self.status}: {self.reason}"
        few = f"; {counted(self.images, 'image')}: biased upwards below {ENOUGH}" if self.images < ENOUGH else ""
        return f"FID {self.value:.2f} (clean-fid, whole images, legacy_pytorch{few})"


def folder_fid(made: Path, true: Path, images: int) -> FolderScore:
    """FID between two folders, in clean-fid's mode ``legacy_pytorch``; on the CPU.

    Args:
        made: folder of SR images.
        true: folder of HR images.
        images: how many the smaller of them has.
    """
    try:
        return FolderScore(_compute(made, true), images)
    except UnavailableError as error:
        return FolderScore(None, images, error.status, error.reason)


def _compute(made: Path, true: Path) -> float:
    if importlib.util.find_spec("cleanfid") is None:
        raise MissingExtraError("it needs the package clean-fid", "fid")
    try:
        package: Any = importlib.import_module("cleanfid.fid")
        return float(
            package.compute_fid(
                str(made),
                str(true),
                mode="legacy_pytorch",
                num_workers=0,
                device="cpu",
                use_dataparallel=False,
                verbose=False,
            )
        )
    except Exception as error:  # whatever an optional package raises, the other scores are there
        text = " ".join(str(error).split())[:200]
        raise UnavailableError(
            "unavailable",
            f"clean-fid gave {type(error).__name__}: {text}; it downloads Inception's weights when it first runs, so run it "
            "once with the network at hand",
        ) from None
