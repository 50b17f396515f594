"""The health of an adversarial run: how far the generator has left the LR images, and collapse by its name."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from srbench.images import imresize
from srbench.training.recipe.tables import Adversarial

_PATIENCE = 5  # log lines in a row
_CERTAIN = 0.99  # of the distance between the labels of HR and SR
_NO_GRADIENT = 1e-8
_NO_CONTRAST = 0.02  # of HR's standard deviation
_FALL = 10.0  # dB
_BORDER = 2  # LR pixels of a crop whose downscaling would need what lies outside


@torch.no_grad()
def crop_health(sr: Tensor, lr: Tensor, hr: Tensor, scale: int) -> dict[str, float]:
    """LR-PSNR (dB) and relative contrast of a batch of crops ``(N, C, H, W)`` on [0, 1].

    Returns:
        ``lr_psnr``: SR downscaled again against LR, without the crops' borders; ``contrast``: SR's standard deviation
        within an image over HR's.
    """
    sr, hr = sr.float().clamp(0, 1), hr.float()
    small = imresize(sr, 1 / scale)
    wanted = lr if lr.shape == small.shape else imresize(hr, 1 / scale)
    border = _BORDER if min(small.shape[-2:]) > 2 * _BORDER else 0
    inside = slice(border, small.shape[-1] - border)
    error = float((small - wanted)[..., inside, inside].square().mean())
    contrast = float(sr.std((1, 2, 3)).mean() / hr.std((1, 2, 3)).mean().clamp(min=1e-6))
    return {"lr_psnr": 10 * math.log10(1 / max(error, 1e-12)), "contrast": contrast}


class CollapseWatch:
    """Watches log lines for a run that can no longer succeed.

    Attributes:
        events: step and reason of each collapse, once while it lasts.

    Args:
        keys: the recipe's ``[adversarial]``. facts: what :meth:`facts` gave, to go on from.
    """

    def __init__(self, keys: Adversarial, facts: dict[str, Any] | None = None) -> None:
        facts = facts or {}
        self._keys = keys
        self._won = int(facts.get("won", 0))
        self._best = float(facts.get("best", -math.inf))
        self._recent: list[float] = [float(value) for value in facts.get("recent", [])]
        self._last = str(facts.get("last", ""))
        self.events: list[tuple[int, str]] = [(int(step), str(reason)) for step, reason in facts.get("events", [])]

    def facts(self) -> dict[str, Any]:
        """What a saved state keeps."""
        best = {"best": self._best} if math.isfinite(self._best) else {}
        return {"won": self._won, "last": self._last, "recent": self._recent, "events": self.events, **best}

    def look(self, step: int, values: dict[str, float]) -> str:
        """The collapse that the values of a log line show, or ""; a new one becomes an event."""
        self._recent = [*self._recent, values["lr_psnr"]][-_PATIENCE:]
        consistent = sum(self._recent) / len(self._recent)  # one batch may hold nothing but sky
        reasons = {
            "one-sided": self._one_sided(values),
            "constant": values["contrast"] < _NO_CONTRAST
            and f"the generator gives one colour: its contrast is {values['contrast']:.3f} of HR's",
            "drift": consistent < self._best - _FALL
            and f"the generator leaves its input: lr-psnr fell from {self._best:.1f} to {consistent:.1f} dB",
            "stuck": values.get("g_grad", 1.0) < _NO_GRADIENT and "no gradient reaches the generator",
        }
        self._best = max(self._best, consistent) if len(self._recent) == _PATIENCE else self._best
        name, reason = next(((name, reason) for name, reason in reasons.items() if reason), ("", ""))
        if name and name != self._last:
            self.events.append((step, str(reason)))
        self._last = name
        return str(reason)

    def _one_sided(self, values: dict[str, float]) -> str:
        """Whether one side has won for several log lines in a row."""
        wasserstein = self._keys.kind.startswith("wgan")
        gap = _CERTAIN * (self._keys.real_label - self._keys.fake_label)
        lost = values["wasserstein"] < 0 if wasserstein else values["d_real"] - values["d_fake"] > gap
        self._won = self._won + 1 if lost else 0
        if self._won < _PATIENCE:
            return ""
        if wasserstein:
            return f"the critic rates SR above HR in {self._won} log lines in a row: its estimate means nothing"
        return (
            f"the discriminator has won: it tells HR ({values['d_real']:.3f}) from SR ({values['d_fake']:.3f}) "
            f"without doubt in {self._won} log lines in a row"
        )
