"""Twenty ways in which people keep a set, and what srbench makes of each: the table in docs/layouts.md.

``python -m tests.layouts_table`` writes it; a test holds it to what srbench does.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from srbench.datasets.local import find_dataset
from srbench.datasets.look import look
from srbench.errors import SrbenchError
from srbench.markdown import table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "layouts.md"

HEAD = """# Folders of images

`--datasets FOLDER`, `--hr FOLDER` and `train --data FOLDER` accept the layouts in which people keep their images.
`srbench data look FOLDER` shows what srbench makes of one: its HR images, the LR images of each scale that `--lr-files` would
use, and what it ignores. Names are compared regardless of case, in one Unicode form, and without a second suffix
(`baby.bmp.png`). If two folders or two files could be meant, both are named and nothing is measured until
`--lr-folder FOLDER` decides. Only a name such as `babyx4` beside `baby` is checked by its size: it is LR if it is smaller by
that factor.

`python -m tests.layouts_table` writes this table: it creates each of these trees and asks srbench. HR images are 48×48 here;
braces in a file's name stand for several files.
"""

# Tree: "folder/name=side" of square images; the first folder is what is given to srbench. {} is each of three names.
TREES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("SwinIR, EDSR", "Set5/HR", ("Set5/HR/{}.png=48", "Set5/LR_bicubic/X2/{}x2.png=24", "Set5/LR_bicubic/X4/{}x4.png=12")),
    ("the same, by the set's folder", "Set5", ("Set5/HR/{}.png=48", "Set5/LR_bicubic/X4/{}x4.png=12")),
    ("BasicSR, mmagic", "Set5/GTmod12", ("Set5/GTmod12/{}.png=48", "Set5/LRbicx4/{}.png=12", "Set5/LRbicx2/{}.png=24")),
    ("DIV2K", "DIV2K_valid_HR", ("DIV2K_valid_HR/{}.png=48", "DIV2K_valid_LR_bicubic/X4/{}x4.png=12")),
    ("DF2K of BasicSR", "DF2K_HR", ("DF2K_HR/{}.png=48", "DF2K_LR_bicubic_X4/{}.png=12")),
    ("Urban100, B100", "B100/HR", ("B100/HR/{}.png=48", "B100/LR/X4/{}.png=12")),
    ("one scale", "set/HR", ("set/HR/{}.png=48", "set/LR/{}.png=12")),
    ("KAIR, restoration", "val/GT", ("val/GT/{}.png=48", "val/LQ/{}.png=12")),
    ("RCAN", "HR/Set5/x4", ("HR/Set5/x4/{}_HR_x4.png=48", "LR/LRBI/Set5/x4/{}_LRBI_x4.png=12")),
    ("RCAN without scales", "HR/Set5", ("HR/Set5/{}.png=48", "LR/Set5/x4/{}.png=12")),
    ("scales in one folder of LR", "Set5/HR", ("Set5/HR/{}.png=48", "Set5/LR/{}x2.png=24", "Set5/LR/{}x4.png=12")),
    ("SelfExSR", "image_SRF_4", ("image_SRF_4/{}_SRF_4_HR.png=48", "image_SRF_4/{}_SRF_4_LR.png=12")),
    ("RealSR", "Test/4", ("Test/4/{}_HR.png=48", "Test/4/{}_LR4.png=12")),
    ("names that pair", "photos", ("photos/{}_GT.png=48", "photos/{}_LQ.png=12")),
    ("LR beside HR", "photos", ("photos/{}.png=48", "photos/{}x4.png=12")),
    ("x4 as part of a name", "photos", ("photos/{}.png=48", "photos/{}x4.png=48")),
    ("LapSRN", "Set5", ("Set5/{}.png=48", "Set5_x4/{}.png=12")),
    ("two that could be meant", "Set5/HR", ("Set5/HR/{}.png=48", "Set5/LR_bicubic/X4/{}x4.png=12", "Set5/LRbicx4/{}.png=12")),
    ("converted twice, other case", "Set5/hr", ("Set5/hr/{}.bmp.png=48", "Set5/lr_bicubic/x4/{}X4.PNG=12")),
    ("only LR", "Set5/LR", ("Set5/LR/{}_LR.png=12",)),
    ("subfolders", "photos", ("photos/{}.png=48", "photos/more/{}.png=48")),
    ("nothing but subfolders", "photos", ("photos/a/{}.png=48", "photos/b/{}.png=48")),
)  # fmt: skip
IMAGES = ("baby", "bird", "head")


def make(top: Path, tree: tuple[str, ...]) -> None:
    """Write the images of a tree."""
    for pattern in tree:
        name, _, side = pattern.partition("=")
        for image in IMAGES:
            path = top / name.format(image)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((int(side), int(side), 3), np.uint8)).save(path)


def shown(tree: tuple[str, ...]) -> str:
    """A tree as one line."""
    listed = "{" + ",".join(IMAGES) + "}"
    return ", ".join(f"`{pattern.partition('=')[0].replace('{}', listed)}`" for pattern in tree)


def row(title: str, given: str, tree: tuple[str, ...]) -> list[str]:
    """One row: the tree, what is given, the HR images, the LR images, what is said."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        make(top, tree)
        try:
            found = look(find_dataset(top / given), top)
        except SrbenchError as error:
            return [title, shown(tree), f"`{given}`", "", "", str(error).replace(f"{top}/", "")]
    lr = "; ".join(f"×{scale}: {where}" for scale, where in found.lr.items()) or "none"
    images = f"`{found.name}`: {len(found.images)}, {', '.join(found.images[:2])} …"
    return [title, shown(tree), f"`{given}`", images, lr, "; ".join(found.remarks)]


def page() -> str:
    """The whole of docs/layouts.md."""
    columns = ("layout", "tree", "given", "HR images", "LR for `--lr-files`", "said")
    return f"{HEAD}\n{table(columns, [row(*tree) for tree in TREES])}\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE.name}: {len(TREES)} layouts\n")
