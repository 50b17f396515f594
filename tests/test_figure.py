"""``srbench figure`` and the images of the page: crops, scores from the records, and what cannot be drawn."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import srbench
from srbench.cli import main
from srbench.errors import InputError, UnknownNameError
from srbench.evaluation.upscaled import upscaled
from srbench.images import write_image
from srbench.reports.crops import cut, read_crop, telling_crop
from srbench.reports.page.images import HR, LR, embedded, read_index, stored_images
from srbench.reports.page.making import Wanted, best_checkpoints, encode, store_images
from srbench.reports.paper.crops_of import Asked, crop_rows
from srbench.reports.paper.figure import Crop, CropRow, draw_crops
from srbench.reports.tables import build_tables
from tests.builders import make_card, noise, smooth
from tests.test_reports import IMAGES, cell

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Scene:
    """One image, upscaled."""

    image: str
    hr: U8
    lr: U8
    sr: dict[str, U8] = field(default_factory=dict)


def scene(image: str = "00", names: tuple[str, ...] = ("bicubic", "fsrcnn_x4.tuned")) -> Scene:
    hr = smooth(96, 128, 1)
    return Scene(image, hr, hr[::4, ::4], {name: noise(96, 128, i) // 8 + hr // 2 for i, name in enumerate(names)})


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9), st.integers(4, 40), st.integers(4, 40), st.sampled_from([1, 2, 4]))
def test_the_telling_crop_is_where_images_differ_most(seed: int, w: int, h: int, step: int) -> None:
    images = [noise(48, 64, seed), smooth(48, 64, seed + 1)]
    x, y, width, height = telling_crop(images, (w, h), step)
    assert x % step == y % step == width % step == height % step == 0
    assert (width, height) == (w // step * step, h // step * step)
    apart = np.abs(images[0].astype(float).mean(axis=2) - images[1].astype(float).mean(axis=2))
    best = max(
        apart[v : v + height, u : u + width].mean()
        for v in range(0, 48 - height + 1, step)
        for u in range(0, 64 - width + 1, step)
    )
    assert apart[y : y + height, x : x + width].mean() == pytest.approx(best)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10,10,600,5", "x 10 to 610, y 10 to 15 does not lie inside ppt3, which is 529×656"),
        ("-1,0,8,8", "x -1 to 7"),
        ("0,0,0,8", "does not lie"),
        ("1,2,3", "expected x,y,w,h"),
        ("a,b,c,d", "expected x,y,w,h"),
    ],
)
def test_a_crop_that_cannot_be(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_crop(text, 529, 656, "ppt3")


def test_rows_have_the_scores_of_the_records() -> None:
    tables = build_tables([cell("bicubic", parameters=0), cell("fsrcnn_x4.tuned", 1.25)])
    asked = Asked("set14", ("00",), ("bicubic", "fsrcnn_x4.tuned", "espcn"), ("8,16,32,24",), 4, ("psnr", "ssim"))
    made = scene(names=("bicubic", "fsrcnn_x4.tuned", "espcn"))
    [row], remarks = crop_rows(asked, [made], tables)
    assert [crop.title for crop in row.crops] == ["HR", "LR", "Bicubic", "FSRCNN", "espcn"]
    assert row.crops[3].scores == f"{IMAGES[0] + 1.25:.2f} dB / {(IMAGES[0] + 1.25) / 40:.4f}"
    assert row.crops[4].scores == ""
    assert "srbench eval espcn --datasets set14 --scale 4" in remarks[0]
    assert np.array_equal(row.crops[0].pixels, made.hr[16:40, 8:40])
    assert np.array_equal(row.crops[1].pixels, made.lr[4:10, 2:10])
    assert np.array_equal(row.crops[3].pixels, made.sr["fsrcnn_x4.tuned"][16:40, 8:40])
    wrong = Asked("set14", ("00",), ("bicubic",), ("auto",), 4, ("pnsr",))
    with pytest.raises(UnknownNameError, match="psnr"):
        crop_rows(wrong, [made], tables)
    other = scene("no such image")
    assert crop_rows(Asked("set14", ("x",), ("bicubic",)), [other], tables)[0][0].crops[2].scores == ""


def test_checkpoints_of_one_network_have_their_recipes_in_their_names() -> None:
    names = ("bicubic", "fsrcnn_x4.tuned", "fsrcnn_x4.paper")
    cards = [make_card("fsrcnn", recipe) for recipe in ("tuned", "paper")]
    tables = build_tables([cell("bicubic", parameters=0), *(cell(name, 1.25) for name in names[1:])], cards=cards)
    [row], _ = crop_rows(Asked("set14", ("00",), names, ("8,16,32,24",)), [scene(names=names)], tables)
    assert [crop.title for crop in row.crops[2:]] == ["Bicubic", "FSRCNN tuned", "FSRCNN paper"]


def test_crops_need_an_image_each() -> None:
    with pytest.raises(InputError, match="3 crops for 2 images"):
        Asked("set14", ("a", "b"), ("bicubic",), ("auto", "auto", "auto")).check()
    with pytest.raises(InputError, match="--models"):
        Asked("set14", ("a",), ()).check()


@pytest.mark.parametrize(("suffix", "head"), [("pdf", b"%PDF"), ("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_a_figure_of_every_format(tmp_path: Path, suffix: str, head: bytes) -> None:
    made = scene()
    crops = [Crop(f"$n_{i}$ <b>", cut(sr, (0, 0, 32, 24)), "1 dB") for i, sr in enumerate(made.sr.values())]
    row = CropRow("00", made.hr, (0, 0, 32, 24), crops)
    paths = [tmp_path / f"{i}.{suffix}" for i in range(2)]
    for path in paths:
        draw_crops([row, row], path, dpi=60)
    assert paths[0].read_bytes().startswith(head)
    assert paths[0].read_bytes() == paths[1].read_bytes(), "no date and no random id"
    with pytest.raises(InputError, match=r"did you mean \.pdf"):
        draw_crops([row], tmp_path / "x.pfd")


def test_pixels_of_a_figure_are_squares(tmp_path: Path) -> None:
    checks = np.kron(np.indices((6, 8)).sum(axis=0) % 2 * 255, np.ones((1, 1)))[..., None].repeat(3, 2).astype(np.uint8)
    draw_crops([CropRow("c", smooth(60, 80), (0, 0, 8, 6), [Crop("c", checks)])], tmp_path / "c.png", dpi=200)
    drawn = np.asarray(Image.open(tmp_path / "c.png").convert("L"))
    inside = drawn[40:200, 850:1350]
    assert np.isin(inside, [0, 255]).mean() > 0.97, "black and white alone: nothing was smoothed"
    assert 0.3 < (inside == 255).mean() < 0.7


def test_figure_from_the_command_line(srbench_home: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "set" / "one.png", smooth(64, 80, 3))
    runner = CliRunner()
    base = ["figure", "--dataset", str(tmp_path / "set"), "-o", str(tmp_path / "f.png"), "--dpi", "60"]
    done = runner.invoke(main, [*base, "--image", "one", "--models", "bicubic,nearest"])
    assert done.exit_code == 0, done.output
    assert Image.open(tmp_path / "f.png").size[0] == 420
    for arguments, said in (
        (["--image", "oen", "--models", "bicubic"], "one"),
        (["--image", "one", "--models", "bicubik"], "bicubic"),
        (["--image", "one", "--models", "bicubic", "--crop", "60,60,30,30"], "which is 80×64"),
    ):
        failed = runner.invoke(main, [*base, *arguments])
        assert failed.exit_code == 1
        assert said in failed.output
        assert len(failed.output.strip().splitlines()) == 1


def test_images_are_those_that_are_measured(srbench_home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for i in range(2):
        write_image(folder / f"p{i}.png", smooth(64, 80, i))
    found = list(upscaled(["bicubic", "lanczos"], str(folder), 4))
    for name in ("bicubic", "lanczos"):
        measured = srbench.evaluate(name, str(folder), scale=4, metrics=["psnr"]).metrics["psnr"].values
        for made, expected in zip(found, measured, strict=True):
            write_image(tmp_path / name / f"{made.image}.png", made.sr[name])
            assert expected is not None
        again = srbench.score(str(tmp_path / name), str(folder), scale=4, metrics=["psnr"]).metrics["psnr"].values
        assert again == pytest.approx(measured, abs=1e-9)


def test_stored_images_are_lossless_crops_with_their_hashes(tmp_path: Path) -> None:
    card = make_card("fsrcnn", sha256="a" * 64)
    wanted = Wanted("sample", 4, {"bicubic": "", card.name: card.sha256})
    made = scene(names=("bicubic", card.name))
    [stored] = store_images(tmp_path, wanted, [made])
    assert stored.box is not None
    assert read_index(tmp_path) == [stored]
    for name, file in stored.files.items():
        content = (tmp_path / file.file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file.sha256
        pixels = np.asarray(Image.open(io.BytesIO(content)))
        source = {LR: made.lr, HR: made.hr, **made.sr}[name]
        assert np.array_equal(pixels, cut(source, stored.box, 4 if name == LR else 1))
    [shown] = stored_images(tmp_path, [card])
    assert set(shown.files) == {LR, HR, "bicubic", card.name}
    newer = make_card("fsrcnn", sha256="b" * 64)
    assert set(stored_images(tmp_path, [newer])[0].files) == {LR, HR, "bicubic"}, "weights that were replaced"
    assert len(embedded(tmp_path, [shown])) == 4
    (tmp_path / stored.files["bicubic"].file).write_bytes(b"other")
    with pytest.raises(InputError, match="the index says"):
        embedded(tmp_path, [shown])
    (tmp_path / stored.files["bicubic"].file).unlink()
    with pytest.raises(InputError, match="is not there"):
        embedded(tmp_path, [shown])


def test_images_made_again_leave_nothing_behind(tmp_path: Path) -> None:
    wanted = Wanted("set", 4, {"bicubic": ""}, whole=True, quality=80)
    store_images(tmp_path, wanted, [scene("a", ("bicubic",)), scene("b", ("bicubic",))])
    [stored] = store_images(tmp_path, wanted, [scene("a", ("bicubic",))])
    assert stored.box is None
    assert stored.lossy == "WebP at quality 80"
    assert {path.parent.name for path in tmp_path.glob("*/*/*.webp")} == {"a"}
    image = smooth(40, 40)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode(image)))), image)
    assert len(encode(image, 50)) < len(encode(image))


def test_which_checkpoints_are_shown() -> None:
    cards = [make_card("fsrcnn", sha256="a"), make_card("fsrcnn", "paper", sha256="b"), make_card("espcn", sha256="c")]
    results = [cell(card.name, gain, weights_sha256=card.sha256) for card, gain in zip(cards, (1, 2, 1.5), strict=True)]
    tables = build_tables([cell("bicubic", parameters=0), *results], (), cards)
    assert best_checkpoints(tables, cards, "set14", 4) == {
        "bicubic": "", "fsrcnn_x4.paper": "b", "espcn_x4.tuned": "c",
    }  # fmt: skip
    # What the overview shows, which goes by the largest set, has its images, and so has the best on the set itself.
    other = [
        cell(card.name, gain, 4, dataset="sample", weights_sha256=card.sha256)
        for card, gain in zip(cards, (2, 1), strict=False)
    ]
    both = build_tables([cell("bicubic", parameters=0), *results, *other], (), cards)
    assert list(best_checkpoints(both, cards, "sample", 4)) == ["bicubic", "fsrcnn_x4.tuned", "fsrcnn_x4.paper"]
    assert list(best_checkpoints(tables, cards, "set14", 4, ["fsrcnn_x4.tuned"])) == ["bicubic", "fsrcnn_x4.tuned"]
    with pytest.raises(UnknownNameError, match=r"fsrcnn_x4\.tuned"):
        best_checkpoints(tables, cards, "set14", 4, ["fsrcnn_x4.comon"])
    with pytest.raises(InputError, match="srbench eval --all --datasets bsd100"):
        best_checkpoints(tables, cards, "bsd100", 4)
