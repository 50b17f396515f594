"""Every architecture in every format: exported or the reason, difference, dB lost, times. ``make exports`` writes docs/export.md.

    python -m tests.benchmarks.exports                 measure what results/exports.json lacks, print the table
    python -m tests.benchmarks.exports --write         and put it into docs/export.md
    python -m tests.benchmarks.exports --only fsrcnn_x4.tuned --formats onnx --again

The images are the middles of the four of ``sample``, 192×192 or less, so that the deepest network has a figure too; LR images of
their size are timed. Times are medians of alternating passes in one process, on one thread, in processor time, which a busy
machine does not stretch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import srbench
from srbench.datasets.local import find_dataset
from srbench.errors import SrbenchError
from srbench.exporting.formats import FORMATS
from srbench.images import read_image, write_image
from srbench.markdown import table, with_part

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/export.md"
KEPT = ROOT / "results/exports.json"
PART = "exports"  # of the page
SIDE, SCALE, SECONDS = 192, 4, 0.3
DEEP = {"drrn": 64, "vdsr_x4.tuned": 96}
"""Networks at HR size, whose passes take seconds: a smaller side for them."""
SUBJECTS = (
    "srcnn_x4.tuned", "fsrcnn_x4.tuned", "espcn_x4.tuned", "vdsr_x4.tuned", "drrn", "edsr_baseline_x4.tuned",
    "mdsr_baseline", "srresnet_x4.tuned-nearest", "srgan_x4.srgan-v2-vgg16", "msrresnet_x4.tuned", "rrdb_s_x4.tuned",
    "esrgan_s_x4.esrgan-wgan-gp-v2-vgg16", "btsrn_x4.tuned", "carn", "imdn", "rfdn", "rlfn", "pan",
)  # fmt: skip
"""One of each architecture, of the smaller size where there are two; a model's name has random weights, and no dB."""
WAYS = ("fp16", "int8", "whole", "whole+int8")
"""Other precisions, and the whole upscaler."""
OF_ALL_WAYS = "fsrcnn_x4.tuned"
"""The network that is written in each of them."""
COLUMNS = (
    "network", "format", "LR", "greatest difference (of 255)", "dB lost", "ms", "PyTorch ms", "our best ms", "file / PyTorch",
    "file / our best", "MB",
)  # fmt: skip


def middles(folder: Path, side: int) -> Path:
    """The middles of the images of ``sample``."""
    for path in find_dataset("sample").paths:
        image = read_image(path)
        top, left = ((length - side) // 2 for length in image.shape[:2])
        write_image(folder / f"{path.stem}.png", image[top : top + side, left : left + side])
    return folder


def wanted(only: set[str], kinds: set[str]) -> Iterator[tuple[str, str, str]]:
    """Network, format and way of each row."""
    rows = [(name, "fp32") for name in SUBJECTS] + [(OF_ALL_WAYS, way) for way in WAYS]
    for name, way in rows:
        for kind in FORMATS:
            if (not only or name in only) and (not kinds or kind in kinds):
                yield name, kind, way


_ABSENT = {"reason": "not measured yet"}


def measure(name: str, kind: str, way: str) -> dict[str, Any]:
    """One row: the card's figures, or the reason why there are none."""
    side, words = DEEP.get(name, SIDE), way.split("+")
    with tempfile.TemporaryDirectory() as folder:
        images = middles(Path(folder) / "images", side)
        out = Path(folder) / f"net{FORMATS[kind].suffix}"
        try:
            made = srbench.export(
                name,
                out,
                scale=SCALE,
                precision=next((word for word in words if word != "whole"), "fp32"),  # type: ignore[arg-type]
                whole="whole" in words,
                fused=True,
                size=(side // SCALE,) * 2,
                dataset=str(images),
                untrained=True,
                seconds=SECONDS,
            )
        except SrbenchError as error:
            return {"reason": str(error)}
    measured = made.card.measured
    assert measured is not None
    return {**measured.model_dump(mode="json", exclude={"dataset"}), "versions": made.card.versions}


def read() -> dict[str, dict[str, Any]]:
    """Rows that were measured before."""
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}


def cells(key: str, row: dict[str, Any]) -> list[str]:
    """A row of the table."""
    name, kind, way = key.split(" ")
    title = [name, FORMATS[kind].title + ("" if way == "fp32" else f" {way.replace('+', ' ')}")]
    if "reason" in row:
        return [*title, "", row["reason"], *[""] * (len(COLUMNS) - 4)]
    lost = row.get("loss_db")
    best = row.get("ms_best")
    fastest = min(best, row["ms_torch"]) if best else row["ms_torch"]
    return [
        *title,
        f"{row['input'][1]}×{row['input'][0]}",
        f"{row['max_difference']:.2g}",
        "random weights" if lost is None else f"{0.0 if abs(lost) < 5e-5 else lost:.4f}",
        f"{row['ms']:.1f}",
        f"{row['ms_torch']:.1f}",
        f"{fastest:.1f}" + (f" ({row['best_variant']})" if best and best < row["ms_torch"] else " (eager)"),
        f"{row['ms'] / row['ms_torch']:.2f}",
        f"{row['ms'] / fastest:.2f}",
        f"{row['mb']:.2f}",
    ]


def render(rows: dict[str, dict[str, Any]]) -> str:
    """The table and what was measured how."""
    order = [f"{name} {kind} {way}" for name, kind, way in wanted(set(), set())]
    good = [row for row in rows.values() if "reason" not in row]
    medians = [
        f"{FORMATS[kind].title} {statistics.median(found):.2f}"
        for kind in FORMATS
        if (
            found := [
                row["ms"] / row["ms_torch"] for key, row in rows.items() if f" {kind} fp32" in key and "ms" in row
            ]
        )
    ]
    used = sorted({f"{name} {version}" for row in good for name, version in row["versions"].items() if name in _TOLD})
    text = (
        f"The fused form at ×{SCALE}, on the middles of the images of `sample`: {SIDE}×{SIDE} pixels, fewer for those that work "
        "at HR size. LR images of their size are timed on one thread: medians of passes of one process that take turns, in "
        "processor time. The two columns of ratios compare such passes and hold on a busy machine; milliseconds of different "
        f"rows were taken at different times. Median ratio to PyTorch's eager passes: {', '.join(medians)}. {', '.join(used)}."
    )
    align = "ll" + "r" * (len(COLUMNS) - 2)
    return f"\n{text}\n\n{table(COLUMNS, [cells(key, rows.get(key, _ABSENT)) for key in order], align)}\n"


_TOLD = {
    "torch", "onnxruntime", "onnx", "onnxscript", "pnnx", "ncnn", "litert-torch (LiteRT)", "torch (LiteRT)", "ai-edge-quantizer",
}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Measure, keep, print, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.exports", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the table into docs/export.md")
    parser.add_argument("--only", default="", metavar="NAMES", help="comma-separated networks")
    parser.add_argument("--formats", default="", metavar="NAMES", help="comma-separated formats")
    parser.add_argument("--again", action="store_true", help="measure what is there already")
    given = parser.parse_args(arguments)
    only, kinds = ({part for part in text.split(",") if part} for text in (given.only, given.formats))
    torch.set_num_threads(1)
    rows = read()
    for name, kind, way in wanted(only, kinds):
        key = f"{name} {kind} {way}"
        if key in rows and not given.again:
            continue
        start = time.perf_counter()
        made = measure(name, kind, way)
        rows = {**read(), key: made}  # another process may have measured other formats meanwhile
        said = made.get("reason") or "measured"
        sys.stderr.write(f"{key}: {said} ({time.perf_counter() - start:.0f} s)\n")
        KEPT.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    text = render(rows)
    if given.write:
        PAGE.write_text(with_part(PAGE.read_text(encoding="utf-8"), PART, text, PAGE), encoding="utf-8")
    else:
        sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
