"""What a file's name says besides the image's own name: HR or LR, the scale, a second suffix.

Names are compared in one form: Unicode NFC (macOS stores decomposed letters), without case, without image suffixes of which a
converted file has two (``baby.bmp.png``).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from srbench.images import SUFFIXES

Role = Literal["hr", "lr", ""]

# img_001_SRF_4_HR (SelfExSR), baby_HR_x4 and baby_LRBI_x4 (RCAN), Canon_001_LR4 (RealSR), 0001_GT, cat_LQ.
_ROLE_LAST = re.compile(
    r"(?P<base>.+?)(?:[_-]?SRF[_-]?(?P<srf>[2-9]))?[_.\- ]"
    r"(?:(?P<hr>HR|GT)|(?P<lr>LR(?:BIC|BICUBIC|BI|BD|DN)?|LQ)(?P<digit>[2-9])?)(?:[_-]?x(?P<scale>[2-9]))?",
    re.IGNORECASE,
)
_ROLE_FIRST = re.compile(r"(?:(?P<hr>HR|GT)|(?P<lr>LR|LQ))[_\- ](?P<base>.+)", re.IGNORECASE)
_SCALE_LAST = re.compile(r"(?P<base>.+?)[_\-]?(?:x(?P<after>[2-9])|(?<=[_\-])(?P<before>[2-9])x)", re.IGNORECASE)
# A word such as "box2" is no scale: after a vowel an x belongs to it.
_SCALES = re.compile(
    r"(?<![a-z0-9])x([2-8])(?![0-9])|(?<=[b-df-hj-np-tv-z])x([2-8])(?=$|[_.\-])|(?<![0-9a-z])([2-8])x(?![0-9a-z])|srf_?([2-8])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Name:
    """A file name taken apart.

    Attributes:
        stem: the name without suffixes, in NFC.
        base: the image's own name, as written.
        role: ``hr`` or ``lr`` if the name says so.
        scale: the upscaling factor that the name states; None if it states none.
    """

    stem: str
    base: str
    role: Role = ""
    scale: int | None = None

    @property
    def key(self) -> str:
        """``base`` in the form that names are compared in."""
        return fold(self.base)


def stem(path: Path | str) -> str:
    """A file's name in NFC without its image suffixes, of which it may have two.

    >>> stem("Set14/baboon.bmp.png")
    'baboon'
    """
    name = unicodedata.normalize("NFC", Path(path).name)
    while Path(name).suffix.lower() in SUFFIXES and Path(name).stem:
        name = Path(name).stem
    return name


def fold(name: str) -> str:
    """A name in the form that names are compared in."""
    return unicodedata.normalize("NFC", name).casefold()


def key(path: Path | str) -> str:
    """A file's stem in the form that names are compared in."""
    return fold(stem(path))


def parse(path: Path | str) -> Name:
    """Take a file's name apart.

    >>> parse("img_001_SRF_4_LR.png")
    Name(stem='img_001_SRF_4_LR', base='img_001', role='lr', scale=4)
    >>> parse("babyx4.png")
    Name(stem='babyx4', base='baby', role='', scale=4)
    """
    whole = stem(path)
    if found := _ROLE_LAST.fullmatch(whole):
        scales = [found[group] for group in ("srf", "scale", "digit") if found[group]]
        return Name(whole, found["base"], "hr" if found["hr"] else "lr", int(scales[0]) if scales else None)
    if found := _ROLE_FIRST.fullmatch(whole):
        return Name(whole, found["base"], "hr" if found["hr"] else "lr")
    if found := _SCALE_LAST.fullmatch(whole):
        return Name(whole, found["base"], "", int(found["after"] or found["before"]))
    return Name(whole, whole)


def scales_in(text: str) -> set[int]:
    """The scales that a file or folder name states, such as ``x4``, ``4x``, ``X4`` or ``SRF_4``.

    >>> sorted(scales_in("EDSR_x2_to_4x.pth")), scales_in("fsrcnn-56-12-4")
    ([2, 4], set())
    """
    found = _SCALES.findall(text)
    return {int(digit) for groups in found for digit in groups if digit}
