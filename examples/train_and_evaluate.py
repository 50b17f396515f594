"""Train a small network for a given time, measure it, compare it with bicubic, and upscale an image with it.

    srbench data get t91 && srbench data get bsds200
    python examples/train_and_evaluate.py                # two minutes
    python examples/train_and_evaluate.py --budget 20m

The run goes to runs/, weights and card to zoo/, as with ``srbench train``; nothing else is stored.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import srbench
from srbench.datasets.local import find_dataset


def main() -> None:
    """Train, evaluate, compare, upscale, score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="2m", help="time to train for, such as 90s or 20m")
    parser.add_argument("--out", default="tour", type=Path, help="folder for the upscaled image")
    given = parser.parse_args()

    # The first steps are timed, and then as many are planned as fit. Ctrl-C stops the run, resume=True goes on.
    card = srbench.train("fsrcnn_s", "tuned", name="tour", size="cpu", budget=given.budget, overwrite=True)
    best = max(point["val_psnr"] for point in card.curve)
    print(f"{card.name}: {card.steps} steps in {card.wall_time_s:.0f} s, {best:.2f} dB on validation images")

    # Four images that come with a dependency. With so few a paired test cannot reach p <= .05: use set14 to separate models.
    ours = srbench.evaluate(card.name, "sample", metrics=["psnr", "ssim"])
    bicubic = srbench.evaluate("bicubic", "sample", scale=4, metrics=["psnr", "ssim"])
    found = srbench.compare(ours, bicubic, metric="psnr")
    print(f"psnr: {ours.mean('psnr'):.2f} against bicubic's {bicubic.mean('psnr'):.2f}, {found.difference:+.2f}")

    # The SR image of an HR image that is taken for LR here: four times as large as it was.
    (image, *_) = find_dataset("sample")
    upscaler = srbench.load(card.name)
    (written,) = srbench.upscale(image, upscaler, out=given.out / "big.png")
    print(f"{image.name} x{upscaler.scale} by {upscaler.parameters:,} parameters: {written}")


if __name__ == "__main__":
    main()
