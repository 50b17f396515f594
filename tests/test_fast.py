"""`srbench eval --fast`: which variant it takes, and that results name it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from torch import nn

from srbench.cli import main
from srbench.evaluation.fast import choose, fastest
from srbench.inference import Inference
from srbench.speed_results import read_speeds, write_speed
from srbench.subjects import resolve
from tests.builders import store_checkpoint
from tests.test_speed_results import record, timed

pytestmark = pytest.mark.usefixtures("one_thread", "srbench_home")


def test_fast_takes_the_fastest_that_hardly_changes_the_image() -> None:
    variants = {
        "eager": timed(100.0),
        "bf16+channels_last": timed(40.0, psnr_change=-0.02),
        "fused+bf16+channels_last": timed(30.0, psnr_change=None),
        "compile": timed(10.0, psnr_change=0.0),
        "bf16": timed(60.0, psnr_change=0.009),
        "fused": timed(70.0, psnr_change=0.0),
    }
    assert choose(record(variants=variants)).speed_variant == "bf16"
    variants["bf16"] = timed(120.0, psnr_change=0.0)
    assert choose(record(variants=variants)).speed_variant == "fused"
    assert choose(record(variants={"eager": timed(1.0)})) == Inference()


def test_eval_fast_names_its_variant(srbench_home: Path) -> None:
    """From a stored record; from a glance, which is stored, where there is none."""
    checkpoint = store_checkpoint("fsrcnn_s", "test", 2, skip="bicubic")
    [subject] = resolve(checkpoint)
    glanced = fastest(subject, 2, Inference())
    [stored] = read_speeds()
    assert stored.input == (96, 96)
    assert glanced.variant in {"", *stored.variants}
    variants = {"eager": timed(9.0), "fused+bf16+channels_last": timed(3.0, psnr_change=0.001)}
    full = {"input": (360, 640), "scale": 2, "name": checkpoint, "weights_sha256": stored.weights_sha256}
    write_speed(stored.model_copy(update={**full, "variants": variants}))
    chosen = fastest(subject, 2, Inference(tile=8))
    assert chosen.variant == "tile8+fused+bf16+channels_last"
    upscaler = subject.upscaler(2, chosen)
    assert not any(isinstance(m, nn.ConvTranspose2d) for m in upscaler.module.modules())
    asked = [
        "eval",
        checkpoint,
        "--datasets",
        "sample",
        "--metrics",
        "psnr",
        "--fast",
        "--no-report",
        "--device",
        "cpu",
    ]
    done = CliRunner().invoke(main, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    [row] = [row for row in json.loads(done.stdout) if row["checkpoint"] == checkpoint]
    assert row["variant"] == "fused+bf16+channels_last"
    assert fastest(resolve("bicubic")[0], 2, Inference(tile=8)) == Inference(tile=8)
    both = CliRunner().invoke(main, [*asked, "--precision", "bf16"])
    assert both.exit_code == 2
