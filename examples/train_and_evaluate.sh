#!/usr/bin/env bash
# Train a small network for a given time, measure it, and compare it with bicubic.
#
#     bash examples/train_and_evaluate.sh [TIME]
#
# Everything lands where srbench keeps it: runs/ (the run), zoo/ (weights and card), results/ (scores).
set -euo pipefail
budget=${1:-2m}

# T91 and BSDS200 are downloaded once and verified; what is here already is kept.
srbench data get t91
srbench data get bsds200

# The first steps are timed, and then as many are planned as fit. Stop it with Ctrl-C and add --resume to go on.
srbench train fsrcnn_s --name tour --size cpu --budget "$budget"

# Four images that come with a dependency. Only what is not stored yet is measured.
srbench eval fsrcnn_s_x4.tour bicubic --datasets sample --metrics psnr,ssim --no-report

# Image by image, with a paired test. With four images it cannot reach p <= .05: use set14 to separate models.
srbench compare fsrcnn_s_x4.tour bicubic --dataset sample

# The curve of the run, and its validation images beside bicubic and HR, as a PNG file.
srbench runs show fsrcnn_s_x4.tour
