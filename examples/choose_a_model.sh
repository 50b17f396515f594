#!/usr/bin/env bash
# Which network fits a budget of milliseconds, on this machine?
#
#     bash examples/choose_a_model.sh [MILLISECONDS [SECONDS]]
#
# SECONDS is how long each variant of each network is timed: more is more precise.
set -euo pipefail
budget=${1:-500} seconds=${2:-4}

# What a pass costs on any machine: parameters, mult-adds, receptive field. Nothing is timed.
srbench cost fsrcnn_x4.tuned espcn_x4.tuned srresnet_s_x4.tuned-nearest

# Times on this machine, of every variant that makes sense (bf16, channels_last, fused …), with the PSNR that it costs.
# They are stored in results/speed; a second call measures nothing.
srbench speed bicubic fsrcnn_x4.tuned espcn_x4.tuned --seconds "$seconds" --max-batch 1

# The frontier of time and PSNR within the budget, and the command that applies each network.
srbench choose --max-ms "$budget"
