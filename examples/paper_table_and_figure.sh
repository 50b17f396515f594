#!/usr/bin/env bash
# The table and the figure of a paper, from stored records: no number is typed by hand.
#
#     bash examples/paper_table_and_figure.sh [FOLDER]
set -euo pipefail
folder=${1:-paper}
mkdir -p "$folder"

# Booktabs, the best in bold and the second underlined, published figures in parentheses, the protocol in the caption.
srbench table bicubic fsrcnn vdsr edsr_baseline srresnet --datasets set5,set14 --metrics psnr,ssim \
    --format latex --published --out "$folder/table.tex"

# The same numbers, unrounded, for a plot of your own.
srbench table bicubic fsrcnn vdsr edsr_baseline srresnet --datasets set5,set14 --format csv --out "$folder/table.csv"

# HR with a box, and the crops where the networks differ most, with the scores of the records beneath them.
srbench figure --dataset sample --image coffee --models bicubic,fsrcnn_x4.tuned,srresnet_x4.tuned-long --crop auto \
    --output "$folder/figure.pdf"

# Is the best one better, image by image? Holm's correction is made for several comparisons.
srbench compare srresnet edsr_baseline vdsr fsrcnn --dataset set14

# Does a stored record come out again on this machine?
srbench reproduce bicubic --dataset sample --scale 4 --protocol standard
