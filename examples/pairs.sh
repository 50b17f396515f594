#!/bin/sh
# A network trained on pairs whose LR is JPEG against one trained on bicubic LR, measured on both. A few minutes on one core.
#
#     srbench data get t91 && srbench data get set14
#     sh examples/pairs.sh
set -e
out=${1:-pairs-of-jpeg}
steps=${2:-1500}

# Pairs as people have them: a folder of HR images and one of LR images beside it.
srbench data lr "$out" --datasets t91 --scale 4 --degradation jpeg:quality=20 --with-hr

common="--steps $steps --threads 1 --out $out/zoo --overwrite"
srbench train espcn --data "$out/t91_x4_HR" --set data_lr="$out/t91_x4" $common --name pairs
srbench train espcn --data "$out/t91_x4_HR" --set data_lr=none --set rescale=[] $common --name bicubic

printf 'name = "jpeg20"\ndegradation = "jpeg:quality=20"\n' > "$out/jpeg20.toml"
weights="$out/zoo/espcn/x4.pairs.safetensors $out/zoo/espcn/x4.bicubic.safetensors"
srbench eval $weights bicubic --datasets set14 --protocol "$out/jpeg20.toml,standard" --metrics psnr --scale 4 --private
