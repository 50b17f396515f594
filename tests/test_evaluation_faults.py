"""What evaluation must not let pass: NaN, errors in a network, another card or source under one name, bad arguments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn

import srbench
from srbench.errors import InputError, SrbenchError
from srbench.subjects.checkpoints import of_card
from srbench.zoo import find_checkpoint
from tests.builders import smooth
from tests.test_evaluation import Nearest, folder, zoo

__all__ = ["folder", "zoo"]  # fixtures


class Broken(Nearest):
    """Makes NaN in one pixel."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        y[..., 0, 0] = float("nan")
        return y


class Narrow(nn.Module):
    """Wants another number of channels than it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


def test_nan_is_a_failure_and_no_number(folder: Path) -> None:
    result = srbench.evaluate(Broken(), folder, scale=4, metrics=["psnr"])
    assert result.status == "failed"
    assert "NaN" in result.reason


def test_an_error_in_a_network_names_it(folder: Path) -> None:
    with pytest.raises(InputError, match="Narrow fails on an input of"):
        srbench.evaluate(Narrow(), folder, scale=4, metrics=["psnr"])


def test_batch_norm_and_training_mode_survive(folder: Path) -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), Nearest()).train()
    assert srbench.evaluate(network, folder, scale=4, metrics=["psnr"]).ok
    assert network.training


@pytest.mark.parametrize("scale", [0, 2.5, True, -1])
def test_scales_that_are_none(folder: Path, scale: object) -> None:
    with pytest.raises(SrbenchError, match="scale"):
        srbench.score(smooth(48, 60), smooth(48, 60), scale=scale)  # type: ignore[arg-type]


def test_colours_against_a_gray_hr_are_refused_under_classic() -> None:
    gray = smooth(48, 60)[..., 0]
    with pytest.raises(InputError, match="three equal channels"):
        srbench.score(np.stack([gray, 255 - gray, gray], -1), gray, scale=4, protocol="classic", metrics=["psnr"])


def test_a_card_that_says_another_network_is_another_cell(zoo: Path, folder: Path) -> None:
    card = find_checkpoint("fsrcnn_s_x4.tiny")
    assert of_card(card).identity != of_card(card.model_copy(update={"options": {}})).identity
