"""A published figure as it is printed: its digits say how near a value must be."""

from __future__ import annotations

import re
from dataclasses import dataclass

from srbench.errors import InputError

_SLACK = 1e-4  # of the last digit: a mean in another order of summation


@dataclass(frozen=True)
class Figure:
    """PSNR, and SSIM where it is given, with the step of the last digit of each.

    Attributes:
        psnr: in dB.
        step: one unit of its last digit.
        ssim: or None.
        ssim_step: one unit of its last digit.
    """

    psnr: float
    step: float
    ssim: float | None = None
    ssim_step: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Figure:
        """Read ``29.62``, ``32.13/0.8948`` or ``32.13/.8948``.

        Raises:
            InputError: neither form, or values that no PSNR and SSIM have.

        >>> Figure.parse("32.13/.8948").is_psnr(32.1311)
        True
        """
        found = re.fullmatch(r"\s*(\d{1,3}(?:\.\d{1,6})?)\s*(?:[/,]\s*([01]?\.\d{1,6}))?\s*", text)
        if not found:
            raise InputError(f"a figure is written as PSNR or PSNR/SSIM such as 32.13/0.8948, not {text!r}")
        psnr, similar = found[1], found[2]
        if similar is None:
            return cls(float(psnr), _step(psnr))
        if not 0 <= float(similar) <= 1:
            raise InputError(f"SSIM is from 0 to 1, not {similar}")
        return cls(float(psnr), _step(psnr), float(similar), _step(similar))

    def is_psnr(self, value: float) -> bool:
        """Whether a value in dB is printed as this figure."""
        return abs(value - self.psnr) <= self.step * (0.5 + _SLACK)

    def is_ssim(self, value: float) -> bool:
        """Whether an SSIM is printed as this figure's; False where it has none."""
        return self.ssim is not None and abs(value - self.ssim) <= self.ssim_step * (0.5 + _SLACK)


def _step(text: str) -> float:
    return 10.0 ** -len(text.partition(".")[2])
