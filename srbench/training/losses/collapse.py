"""The health of an adversarial run: how far the generator has left the LR images, and collapse by its name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import itemgetter

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from srbench.images import imresize
from srbench.metrics.lattice import SPACING as LATTICE_BLOCK
from srbench.metrics.lattice import lattice
from srbench.training.optim.precision import rounding
from srbench.training.recipe.tables import Adversarial

_PATIENCE = 5  # log lines in a row
_CERTAIN = 0.99  # of the distance between the labels of HR and SR
_NO_GRADIENT = 1e-8
_NO_CONTRAST = 0.02  # of HR's standard deviation
_FALL = 10.0  # dB
_LATTICE = 5.0  # dB; visible
_BORDER = 2  # LR pixels of a crop whose downscaling would need what lies outside


@torch.no_grad()
def crop_health(sr: Tensor, lr: Tensor, hr: Tensor, scale: int) -> dict[str, float]:
    """LR-PSNR (dB), relative contrast and lattice (dB) of a batch of crops ``(N, C, H, W)`` on [0, 1].

    Returns:
        ``lr_psnr``: SR downscaled again against LR, without the crops' borders; ``contrast``: SR's standard deviation
        within an image over HR's; ``lattice``: how far SR's spectrum stands out at the upsampler's frequencies above
        HR's, for crops that are large enough to tell.
    """
    sr, hr = sr.float().clamp(0, 1), hr.float()
    small = imresize(sr, 1 / scale)
    wanted = lr if lr.shape == small.shape else imresize(hr, 1 / scale)
    border = _BORDER if min(small.shape[-2:]) > 2 * _BORDER else 0
    inside = slice(border, small.shape[-1] - border)
    error = float((small - wanted)[..., inside, inside].square().mean())
    contrast = float(sr.std((1, 2, 3)).mean() / hr.std((1, 2, 3)).mean().clamp(min=1e-6))
    found = {"lr_psnr": 10 * math.log10(1 / max(error, 1e-12)), "contrast": contrast}
    if min(sr.shape[-2:]) >= LATTICE_BLOCK * scale:
        found["lattice"] = float((lattice(255 * sr, scale) - lattice(255 * hr, scale)).mean())
    return found


class CollapseFacts(BaseModel):
    """What a watch remembers between log lines, as a saved state holds it.

    Attributes:
        won: log lines in a row in which one side had won.
        blind: log lines in a row in which rounding hid what sets a critic's scores apart.
        best: the best LR-PSNR (dB) over as many lines as are averaged; None before that.
        recent: LR-PSNR (dB) of the latest lines.
        lattice: of the latest lines, in dB.
        last: name of the collapse that lasts, or "".
        events: step and reason of each collapse, once while it lasts.
    """

    model_config = ConfigDict(extra="forbid")

    won: int = 0
    blind: int = 0
    last: str = ""
    recent: list[float] = []
    lattice: list[float] = []
    events: list[tuple[int, str]] = []
    best: float | None = None


class CollapseWatch:
    """Watches log lines for a run that can no longer succeed.

    Attributes:
        facts: what it remembers.

    Args:
        keys: the recipe's ``[adversarial]``.
        facts: what an earlier sitting remembered, to go on from.
        precision: of the recipe.
    """

    def __init__(self, keys: Adversarial, facts: CollapseFacts | None = None, precision: str = "fp32") -> None:
        self._keys = keys
        self._precision = precision
        self.facts = facts or CollapseFacts()

    def look(self, step: int, values: Mapping[str, float]) -> str:
        """The collapse that the values of a log line show, or ""; a new one becomes an event."""
        facts = self.facts
        facts.recent = [*facts.recent, values["lr_psnr"]][-_PATIENCE:]
        consistent = sum(facts.recent) / len(facts.recent)  # one batch may hold nothing but sky
        if "lattice" in values:
            facts.lattice = [*facts.lattice, values["lattice"]][-_PATIENCE:]
        name, reason = next(filter(itemgetter(1), self._reasons(values, consistent)), ("", ""))
        if len(facts.recent) == _PATIENCE:
            facts.best = consistent if facts.best is None else max(facts.best, consistent)
        if name and name != facts.last:
            facts.events.append((step, reason))
        facts.last = name
        return reason

    def _reasons(self, values: Mapping[str, float], consistent: float) -> list[tuple[str, str]]:
        """Each kind of collapse and what the values say of it; "" where they show none."""
        best = self.facts.best
        one_sided, constant, drift, stuck = self._one_sided(values), "", "", ""
        if values["contrast"] < _NO_CONTRAST:
            constant = f"the generator gives one colour: its contrast is {values['contrast']:.3f} of HR's"
        if best is not None and consistent < best - _FALL:
            drift = f"the generator leaves its input: lr-psnr fell from {best:.1f} to {consistent:.1f} dB"
        if values.get("g_grad", 1.0) < _NO_GRADIENT:
            stuck = "no gradient reaches the generator"
        reasons = [
            ("blind", self._blind(values)),
            ("one-sided", one_sided),
            ("constant", constant),
            ("drift", drift),
            ("stuck", stuck),
        ]
        return [*reasons, ("lattice", self._lattice())]

    def _lattice(self) -> str:
        """Whether the upsampler's pattern shows in several log lines; one batch of crops tells little."""
        seen = self.facts.lattice
        mean = sum(seen) / max(1, len(seen))
        if len(seen) < _PATIENCE or mean <= _LATTICE:
            return ""
        return f"the generator prints its upsampler's lattice: {mean:.1f} dB above HR's, which LPIPS takes for texture"

    def _blind(self, values: Mapping[str, float]) -> str:
        """Whether a critic's scores have risen together so far that rounding hides what sets them apart."""
        gap = values.get("wasserstein", math.inf)
        step = rounding(self._precision) * abs(values["d_real"])
        self.facts.blind = self.facts.blind + 1 if abs(gap) < step else 0
        if self.facts.blind < _PATIENCE:
            return ""
        return (
            f"the critic is blind: in {self.facts.blind} log lines in a row its scores, {values['d_real']:.4g} of HR, lay "
            f"{gap:.3g} apart, and {self._precision} rounds there by {step:.3g}; a norm, or a smaller clip, keeps them small"
        )

    def _one_sided(self, values: Mapping[str, float]) -> str:
        """Whether one side has won for several log lines in a row."""
        wasserstein = self._keys.kind.startswith("wgan")
        gap = _CERTAIN * (self._keys.real_label - self._keys.fake_label)
        lost = values["wasserstein"] < 0 if wasserstein else values["d_real"] - values["d_fake"] > gap
        self.facts.won = self.facts.won + 1 if lost else 0
        if self.facts.won < _PATIENCE:
            return ""
        if wasserstein:
            return f"the critic rates SR above HR in {self.facts.won} log lines in a row: its estimate means nothing"
        return (
            f"the discriminator has won: it tells HR ({values['d_real']:.3f}) from SR ({values['d_fake']:.3f}) "
            f"without doubt in {self.facts.won} log lines in a row"
        )
