"""``explain`` names the fields that a figure was made with, and says none where there are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from torch import Tensor, nn

from srbench.cli import main
from srbench.datasets.local import from_folder
from srbench.errors import InputError
from srbench.evaluation import score
from srbench.evaluation.explain import BORDERS, WAYS, Explanation, Tried, chance, explain_images, explain_subject
from srbench.evaluation.figure import Figure
from srbench.evaluation.quality import Samples, measure_cell
from srbench.images import imresize, read_image, write_image
from srbench.protocol import Protocol
from srbench.subjects import Subject, of_module, resolve_one
from tests.builders import noise, smooth


def photo(seed: int, height: int, width: int) -> np.ndarray:
    """Something of a photograph: smooth parts, edges, texture, and colours that are not luma."""
    base = smooth(height, width, seed).astype(int)
    base[height // 3 : height // 2, width // 4 : width // 2] += 60
    texture = imresize(noise(height // 2 + 1, width // 2 + 1, seed + 50), 2.0)[:height, :width].astype(int) - 128
    return np.clip(base + texture // 8, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images that are no multiples of 12, one of them gray."""
    top = tmp_path_factory.mktemp("explain") / "photos"
    for seed, (height, width) in enumerate(((88, 100), (92, 76), (80, 88))):
        image = photo(seed, height, width)
        write_image(top / f"p{seed}.png", image[..., 1] if seed == 2 else image)
    return top


class Pooled(nn.Module):
    """Global pooling: what it makes of a part is not the part of what it makes of the whole."""

    scale = 4

    def forward(self, x: Tensor) -> Tensor:
        large: Tensor = imresize(x, 4.0)
        return large + 0.2 * (x.mean(dim=(2, 3), keepdim=True) - large)


def figure_of(psnr: float, ssim: float) -> Figure:
    return Figure.parse(f"{psnr:.2f}/{ssim:.4f}")


def fields_of(one: Tried) -> dict[str, Any]:
    return one.protocol.model_dump(exclude={"name", "version"})


def assert_names(found: Explanation, fields: dict[str, Any], average: str = "images") -> None:
    """The true fields are among the simplest hits, and what is simpler or as simple is a hit by its own right."""
    assert found.hits, [(one.psnr, one.ssim, one.differs) for one in found.nearest]
    true = Protocol(name="true", **fields)
    right = [hit for hit, _ in found.hits if fields_of(hit) == fields_of(Tried(true, "images", 0, None, "", ()))]
    assert any(hit.average == average for hit in right), [(hit.preset, hit.differs) for hit, _ in found.hits]
    best = found.hits[0][0]
    assert best in right, f"{best.preset} {best.differs} comes before {fields}"


# Figures of SR images

MEASURES: list[dict[str, Any]] = [
    {}, {"luma": "rounded"}, {"channel": "rgb"}, {"channel": "ycbcr"}, {"channel": "y-full"},
    {"channel": "y-full", "luma": "rounded"}, {"modulus": 12}, {"channel": "rgb", "modulus": 12},
    {"luma": "rounded", "gray": "keep"}, {"channel": "rgb", "shave_extra": 6},
    *({"shave_extra": border - 4} for border in BORDERS if border != 4),
    *({"channel": "rgb", "shave_extra": border - 4} for border in BORDERS if border != 4),
]  # fmt: skip


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("made") / "sr"
    for path in sorted(folder.iterdir()):
        hr = read_image(path)
        write_image(top / path.name, imresize(imresize(hr, 0.25), 4.0)[: hr.shape[0], : hr.shape[1]])
    return top


@pytest.mark.parametrize("fields", MEASURES, ids=str)
def test_fields_that_measure(folder: Path, made: Path, fields: dict[str, Any]) -> None:
    result = score(made, folder, 4, Protocol(name="true", **fields), ["psnr", "ssim"])
    pairs = [(read_image(made / path.name), read_image(path)) for path in sorted(folder.iterdir())]
    found = explain_images(pairs, 4, figure_of(result.mean("psnr"), result.mean("ssim")))
    assert_names(found, fields)


def test_the_mean_error(folder: Path, made: Path) -> None:
    result = score(made, folder, 4, metrics=["psnr", "ssim"])
    errors = [255**2 / 10 ** (value / 10) for value in result.metrics["psnr"].values if value is not None]
    psnr = 10 * np.log10(255**2 / np.mean(errors))
    pairs = [(read_image(made / path.name), read_image(path)) for path in sorted(folder.iterdir())]
    # Images of other sizes weigh alike here, as means over batches of one image do.
    found = explain_images(pairs, 4, figure_of(psnr, result.mean("ssim")))
    assert_names(found, {}, "error")
    assert found.hits[0][0].differs == ("average = PSNR of the mean error",)


# Figures of networks

PASSES: list[tuple[str, dict[str, Any]]] = [
    ("fsrcnn_x4.tuned", {}),
    ("fsrcnn_x4.tuned", {"luma": "rounded", "lr": "float", "gray": "keep"}),
    ("fsrcnn_x4.tuned", {"luma": "rounded", "lr": "float", "gray": "keep", "sr": "float"}),
    ("fsrcnn_x4.tuned", {"luma": "rounded", "lr": "float", "gray": "keep", "edges": "clamp"}),
    ("fsrcnn_x4.tuned", {"sr": "truncated", "luma": "rounded"}),
    ("fsrcnn_x4.tuned", {"lr": "float-rgb"}),
    ("espcn_x2.tuned", {"lr_rounding": "once"}),  # at ×4 it moves nothing that two decimals show
    ("fsrcnn_x4.tuned", {"modulus": 12}),
    ("espcn_x4.tuned", {"channel": "rgb", "modulus": 12, "lr_rounding": "once"}),
    ("fsrcnn_x4.tuned", {"degradation": "opencv-bicubic"}),
    ("fsrcnn_x4.tuned", {"degradation": "pillow-bicubic", "channel": "rgb"}),
    ("srcnn_x4.tuned", {"luma": "rounded", "lr": "float", "gray": "keep", "edges": "clamp", "clip_enlarged": True}),
    ("bicubic", {"degradation": "bd", "luma": "rounded", "gray": "keep", "sr": "each_axis"}),
    ("bicubic", {"degradation": "dn", "luma": "rounded", "gray": "keep", "sr": "each_axis"}),
    ("bicubic", {"degradation": "opencv-bicubic", "channel": "rgb", "shave_extra": -4}),
    ("pooled", {"inference": "quarters"}),
]


def subject_of(name: str, scale: int) -> Subject:
    return of_module(Pooled(), 4) if name == "pooled" else resolve_one(name, scale).at(scale)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        pytest.param(*one, id=f"{one[0]} {one[1]}", marks=[] if number % 5 == 1 else [pytest.mark.slow])
        for number, one in enumerate(PASSES)
    ],
)
def test_fields_that_change_the_pass(folder: Path, name: str, fields: dict[str, Any]) -> None:
    scale = 2 if "_x2" in name else 4
    subject, images = subject_of(name, scale), from_folder(folder)
    result = measure_cell(subject, Samples(images, scale, Protocol(name="true", **fields)), ["psnr", "ssim"])
    found = explain_subject(subject, images, figure_of(result.mean("psnr"), result.mean("ssim")), thorough=True)
    assert_names(found, fields)


def test_every_way_is_a_protocol_of_its_own() -> None:
    made = [Protocol(name="way", **fields).model_dump() for _, fields in WAYS]
    assert all(one not in made[:i] for i, one in enumerate(made))


def test_the_usual_way_ends_the_search(folder: Path) -> None:
    images = from_folder(folder)
    subject = resolve_one("fsrcnn_x4.tuned")
    result = measure_cell(subject, Samples(images, 4, Protocol(name="true")), ["psnr"])
    said: list[str] = []
    found = explain_subject(subject, images, Figure.parse(f"{result.mean('psnr'):.2f}"), on_way=said.append)
    assert said == list(found.ways) == [WAYS[0][0]]


# None, chance, and figures


def test_a_wrong_figure_has_no_explanation(folder: Path, made: Path) -> None:
    pairs = [(read_image(made / path.name), read_image(path)) for path in sorted(folder.iterdir())]
    found = explain_images(pairs, 4, Figure.parse("41.37/.9999"))
    assert found.hits == ()
    assert len(found.nearest) == 5


def test_chance_grows_with_what_was_tried() -> None:
    """A hundred values in 1 dB: a second decimal is hit by chance as often as not."""
    rng = np.random.default_rng(0)

    def tried(count: int) -> list[Tried]:
        values = 30 + rng.uniform(-0.5, 0.5, count)
        return [Tried(Protocol(name="x"), "images", float(value), None, "standard", ()) for value in values]

    sought = Figure.parse("30.00")
    found = [np.mean([chance(sought, tried(count)) for _ in range(20)]) for count in (1, 10, 100)]
    assert found == pytest.approx([0.01, 0.095, 0.63], abs=0.01)
    drawn = np.mean([any(sought.is_psnr(one.psnr) for one in tried(100)) for _ in range(300)])
    assert drawn == pytest.approx(found[2], abs=0.1), "as often as it is said"


@pytest.mark.parametrize("text", ["", "abc", "32.13/8948", "32.13/1.5", "32.13/0.89/1", "-3.2"])
def test_figures_that_are_none(text: str) -> None:
    with pytest.raises(InputError):
        Figure.parse(text)


def test_images_that_are_not_of_one_image() -> None:
    with pytest.raises(InputError, match="not of one image at x4"):
        explain_images([(noise(48, 48), noise(200, 200))], 4, Figure.parse("30.00"))
    with pytest.raises(InputError, match="no SR image"):
        explain_images([], 4, Figure.parse("30.00"))


def test_on_the_command_line(folder: Path, made: Path) -> None:
    value = score(made, folder, 4, "rgb", ["psnr"]).mean("psnr")
    command = ["explain", "--sr", str(made), "--hr", str(folder), "--scale", "4", "--figure", f"{value:.3f}"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "rgb" in done.output
    listed = json.loads(CliRunner().invoke(main, [*command, "--json"]).stdout)
    assert listed["hits"][0]["preset"] == "rgb"
    done = CliRunner().invoke(main, [*command[:-1], "41.37"])
    assert (done.exit_code, "none gives 41.37" in done.output) == (1, True)
    done = CliRunner().invoke(main, [*command, "--checkpoint", "bicubic"])
    assert done.exit_code == 2
    last = max(made.glob("*.png"))
    write_image(last, noise(16, 20))
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert f"SR {last} is 20×16 and HR {last.stem} " in done.stderr


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "scale", "figure", "preset"),
    [
        ("zhaohengyuan1_PAN__PANx4_DF2K.pth", 4, "32.13/0.8948", "standard"),
        ("IMDN_x3.pth", 3, "34.36/0.9270", "standard"),
        ("huangzehao_caffe-vdsr__VDSR_Official.mat", 4, "31.35/0.8838", "vdsr"),
        ("IMDN_x3.pth", 3, "34.91/0.9311", None),
    ],
)
def test_figures_of_authors_own_weights(
    checkpoints_root: Path, data_root: Path, file: str, scale: int, figure: str, preset: str | None
) -> None:
    """Three figures that their papers print on Set5, and one that nobody does."""
    asked = ["explain", "--checkpoint", str(checkpoints_root / file), "--hr", "set5", "--scale", str(scale)]
    done = CliRunner().invoke(main, [*asked, "--figure", figure, "--json"])
    hits = json.loads(done.stdout)["hits"]
    assert done.exit_code == (0 if preset else 1)
    assert (preset in [hit["preset"] for hit in hits]) if preset else hits == []
