"""How far LPIPS in bfloat16 is from LPIPS: why there is no such form.

``python -m tests.lpips_half --write`` writes the table in docs/measure.md.

AlexNet's convolutions run in bfloat16, once all of them and once all but the first; features are scaled and compared in
float32, as ever. Images: what the zoo's checkpoints and bicubic make of Set5 and Set14 at ×4. A form would be worth having if
no image moved by more than 1e-4, which is what is seen in the fourth digit that tables show.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import torch
from torch import Tensor, nn

from srbench.datasets.local import find_dataset
from srbench.evaluation.quality import Samples, super_resolve
from srbench.files import write_text
from srbench.images import planar
from srbench.inference import Inference
from srbench.markdown import table, with_part
from srbench.metrics import Truth, lpips
from srbench.metrics._backbones import load_backbone
from srbench.protocol import get_protocol
from srbench.provenance import processor
from srbench.subjects import Subject, everything

PAGE = Path(__file__).resolve().parent.parent / "docs" / "measure.md"
PART = "lpips-bf16"
SETS, SCALE, ALLOWED = ("set5", "set14"), 4, 1e-4
FORMS = {"all five convolutions": 0, "all but the first": 1}


class HalfTrunk(nn.Module):
    """AlexNet's layers with convolutions in bfloat16; what is compared comes out in float32.

    Args:
        first: index of the first convolution that is in bfloat16.
    """

    def __init__(self, first: int) -> None:
        super().__init__()
        name, self.taps, _ = lpips._NETS["alex"]
        self.layers = load_backbone(name)[0][: self.taps[-1] + 1].to(memory_format=torch.channels_last).eval()
        lpips._take_scaling_in(self.layers[0])
        convolutions = [layer for layer in self.layers if isinstance(layer, nn.Conv2d)]
        for layer in convolutions[first:]:
            layer.to(torch.bfloat16)

    def forward(self, image: Tensor) -> list[Tensor]:
        """As ``lpips._Trunk``."""
        seen = image.to(memory_format=torch.channels_last)
        found = []
        for index, layer in enumerate(self.layers):
            seen = layer(seen.to(layer.weight.dtype) if isinstance(layer, nn.Conv2d) else seen)
            if index in self.taps:
                found.append(seen.float().clone())
        return found


def half_lpips(trunk: HalfTrunk, sr: Tensor, hr: Tensor) -> float:
    """LPIPS by a trunk in bfloat16."""
    network = lpips._Network(trunk, lpips._network("alex", sr.device).weights)  # type: ignore[arg-type]
    made, true = (lpips._layers(network, image) for image in (sr, hr))
    for features in true:
        lpips._scale_all(features)
    layers = zip(made, true, network.weights, strict=True)
    return float(torch.stack([lpips._distance(*layer) for layer in layers]).sum())


@dataclass(frozen=True)
class Moved:
    """One image of one checkpoint.

    Attributes:
        where: checkpoint, set and image.
        score: LPIPS.
        by: what each form adds to it.
    """

    where: str
    score: float
    by: dict[str, float]


@torch.no_grad()
def measure(pattern: str) -> Iterator[Moved]:
    """Every image of the checkpoints of a pattern, and of bicubic; each HR image's features are made once."""
    protocol, plain = get_protocol("standard"), Inference()
    trunks = {name: HalfTrunk(first) for name, first in FORMS.items()}
    subjects = [one for one in everything(SCALE) if one.name == "bicubic" or _is_meant(one, pattern)]
    sets = {name: Samples(find_dataset(name), SCALE, protocol) for name in SETS}
    for subject in subjects:
        if subject.obstacle(SCALE, protocol):
            continue
        upscaler = subject.upscaler(SCALE, plain)
        for name, samples in sets.items():
            for sample in samples:
                sr, hr = super_resolve(upscaler, planar(sample.lr), protocol), planar(sample.hr)
                reference = samples.references.get(
                    sample.name,
                    lambda hr=hr: lpips.prepare("alex", Truth(hr, None, SCALE)),  # type: ignore[misc]
                )
                score = float(lpips.score("alex", sr, reference))
                by = {form: half_lpips(trunk, sr, hr) - score for form, trunk in trunks.items()}
                yield Moved(f"{subject.name}, {name}/{sample.name}", score, by)
        sys.stderr.write(f"{subject.name}\n")


def _is_meant(subject: Subject, pattern: str) -> bool:
    return subject.kind != "interpolator" and any(fnmatch(subject.name, part) for part in pattern.split(","))


def page(found: list[Moved], pattern: str) -> str:
    """The marked part of the page."""
    names = list(dict.fromkeys(one.where.partition(",")[0] for one in found))
    rows = []
    for form in FORMS:
        sizes = sorted(abs(one.by[form]) for one in found)
        worst = max(found, key=lambda one: abs(one.by[form]))
        over = sum(size > ALLOWED for size in sizes)
        rows.append([form, f"{sizes[len(sizes) // 2]:.1e}", f"{sizes[-1]:.1e}", worst.where, f"{over} of {len(sizes)}"])
    head = ("in bfloat16", "median of abs(Δ)", "greatest", "at", f"over {ALLOWED:g}")
    text = table(head, rows, "lrrlr")
    which = "" if pattern == "*" else f" --checkpoints '{pattern}'"
    return (
        f"{text}\n{len(found)} images: Set5 and Set14 ×4 of bicubic and {len(names) - 1} checkpoints; {processor()}, torch "
        f"{torch.__version__.partition('+')[0]}; measured by `python -m tests.lpips_half{which} --write`.\n"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the table into docs/measure.md")
    parser.add_argument(
        "--checkpoints", default="*", help="patterns of names, comma-separated; the whole zoo takes an hour"
    )
    asked = parser.parse_args()
    text = page(list(measure(asked.checkpoints)), asked.checkpoints)
    if asked.write:
        write_text(PAGE, with_part(PAGE.read_text(encoding="utf-8"), PART, text, PAGE))
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
