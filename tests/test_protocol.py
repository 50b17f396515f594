"""Protocols, and the pairs that they make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from srbench.cli import main
from srbench.datasets.local import from_folder
from srbench.datasets.pairs import degrade, load_sample, lr_difference, prepare_hr
from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.evaluation.quality import Samples, measure_cell
from srbench.evaluation.scoring import score
from srbench.images import imresize, write_image
from srbench.protocol import COMPARABLE, PRESETS, WARNINGS, Protocol, get_protocol
from srbench.subjects import resolve
from tests.builders import noise


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets(name: str) -> None:
    protocol = get_protocol(name)
    assert protocol.id == f"{name}.v{protocol.version}"
    assert name in COMPARABLE
    assert Protocol(**protocol.model_dump()) == protocol
    for scale in (2, 3, 4):
        assert protocol.modulus_for(scale) % scale == 0
        assert protocol.shave(scale) >= scale


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_measures_at_its_scales_and_says_why_not_at_others(name: str, scale: int, tmp_path: Path) -> None:
    """Bicubic on an image: a number where the preset is defined, and else a status with both scales in its reason."""
    write_image(tmp_path / "a.png", noise(48, 48))
    protocol, [bicubic] = PRESETS[name], resolve("bicubic")
    samples = Samples(from_folder(tmp_path), scale, protocol)
    if name == "rgb" and scale == 8:
        with pytest.raises(InputError, match="modulus 12 is no multiple of the scale 8"):
            measure_cell(bicubic, samples, ["psnr"])
        return
    result = measure_cell(bicubic, samples, ["psnr"])
    if protocol.scales is None or scale in protocol.scales:
        assert result.status == "ok"
        assert result.mean("psnr") > 0
        return
    assert result.status == "unsupported_scale"
    assert f"{protocol.id} is defined at x3" in result.reason
    assert f"not at x{scale}" in result.reason


def test_which_presets_have_scales_of_their_own() -> None:
    assert {name: p.scales for name, p in PRESETS.items() if p.scales} == {"rcan-bd": (3,), "rcan-dn": (3,)}
    mine = PRESETS["rcan-bd"].model_copy(update={"name": "mine"})
    assert not mine.not_at(2), "whoever names the fields may measure at any scale"
    kernels = PRESETS["standard"].model_copy(update={"name": "mine", "degradation": "gaussian8"})
    assert "degradation gaussian8 is defined at x2, x3, x4, not at x8" in kernels.not_at(8)
    assert not kernels.not_at(4)


def test_scoring_folders_says_so_too(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", noise(48, 48))
    with pytest.raises(UnavailableError, match=r"rcan-dn\.v1 is defined at x3, .* not at x2"):
        score(tmp_path, hr=tmp_path, scale=2, protocol="rcan-dn")


@pytest.mark.parametrize("name", sorted(WARNINGS))
def test_a_preset_that_only_explains_figures_says_so_where_it_measures(name: str, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", noise(48, 48))
    usual = ["--scale", "4", "--metrics", "psnr", "--protocol"]
    for command in (
        ["score", "--sr", str(tmp_path), "--hr", str(tmp_path), *usual],
        ["eval", "bicubic", "--datasets", str(tmp_path), "--results", str(tmp_path / "results"), *usual],
    ):
        assert WARNINGS[name] in CliRunner().invoke(main, [*command, name]).stderr
        assert WARNINGS[name] not in CliRunner().invoke(main, [*command, "standard"]).stderr


def test_the_facts_of_the_presets() -> None:
    usual = ("standard", "classic", "rgb", "div2k-edsr")
    found = {name: (p.channel, p.shave(4), p.modulus_for(4), p.lr) for name, p in PRESETS.items() if name in usual}
    assert tuple(PRESETS)[:4] == usual
    assert found == {
        "standard": ("y", 4, 4, "uint8"),
        "classic": ("y", 4, 4, "float"),
        "rgb": ("rgb", 4, 12, "uint8"),
        "div2k-edsr": ("rgb", 10, 4, "uint8"),
    }


def test_a_protocol_of_ones_own_has_an_id_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "wide.toml"
    path.write_text('channel = "rgb"\nshave_extra = 2\n')
    protocol = get_protocol(path)
    assert protocol.name == "wide"
    assert protocol.id.startswith("wide-")
    path.write_text('channel = "rgb"\nshave_extra = 3\n')
    assert get_protocol(path).id != protocol.id
    assert PRESETS["standard"].model_copy(update={"edges": "clamp"}).id != "standard.v1"


def test_records_of_earlier_protocols_stay() -> None:
    """Ids and stored fields of protocols that use none of the later fields are what they were."""
    stored = {
        "name", "channel", "luma", "degradation", "lr", "gray", "modulus", "edges", "shave_extra", "version",
    }  # fmt: skip
    assert set(PRESETS["standard"].model_dump()) == set(PRESETS["classic"].model_dump(mode="json")) == stored
    assert Protocol(name="mine", edges="clamp").id == "mine-3ea8d7.v1"
    assert Protocol(name="mine", sr="truncated").model_dump()["sr"] == "truncated"
    assert len({protocol.id for protocol in PRESETS.values()}) == len(PRESETS)


def test_degradations_of_a_protocol(tmp_path: Path) -> None:
    mine = Protocol(name="mine", degradation=" jpeg:quality=40")
    assert mine.degradation == "jpeg", "one text for one meaning"
    assert Protocol(name="mine", degradation="jpeg:quality=30").id != mine.id
    with pytest.raises(ValueError, match="Did you mean 'bicubic'"):
        Protocol(name="mine", degradation="bicubik")
    hr = prepare_hr(noise(24, 24), 3, PRESETS["rcan-dn"])
    assert np.array_equal(degrade(hr, 3, PRESETS["rcan-dn"], "a"), degrade(hr, 3, PRESETS["rcan-dn"], "b"))
    seeded = PRESETS["rcan-dn"].model_copy(update={"seed": 1})
    assert not np.array_equal(degrade(hr, 3, seeded, "a"), degrade(hr, 3, seeded, "b"))
    assert np.array_equal(degrade(hr, 3, seeded, "A"), degrade(hr, 3, seeded, "a"))


def test_lr_of_the_variants() -> None:
    hr = prepare_hr(noise(24, 24), 2, PRESETS["standard"])
    once = degrade(hr, 2, PRESETS["bsrn"])
    exact = imresize(hr.astype(np.float64), 0.5)
    assert np.array_equal(once, np.clip(np.floor(exact + 0.5), 0, 255).astype(np.uint8))
    assert np.mean(once != degrade(hr, 2, PRESETS["standard"])) > 0.05
    assert np.array_equal(degrade(hr, 2, PRESETS["lapsrn"]), exact)


def test_a_modulus_for_one_set() -> None:
    vapsr = PRESETS["vapsr"]
    assert [vapsr.modulus_for(4, name) for name in ("set5", "set14", "dir-Set5", "dir-Set5_GTmod12", "")] == [
        12,
        4,
        12,
        12,
        4,
    ]
    assert prepare_hr(noise(30, 30), 4, vapsr, "set5").shape[:2] == (24, 24)


def test_gray_files_of_eight_bits_are_kept() -> None:
    gray = noise(24, 24)[..., 0]
    kept = prepare_hr(gray, 3, PRESETS["rcan-bd"])
    assert kept.ndim == 2
    assert degrade(kept, 3, PRESETS["rcan-bd"]).shape == (8, 8)


def test_a_degradation_that_is_files(tmp_path: Path) -> None:
    write_image(tmp_path / "a_HR.png", noise(24, 24))
    write_image(tmp_path / "a_LR3.png", noise(8, 8))
    real = Protocol(name="real", degradation="real")
    images = from_folder(tmp_path)
    assert np.array_equal(load_sample(images, images.paths[0], 3, real).lr, noise(8, 8))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('chanel = "y"', "Did you mean 'channel'"),
        ('channel = "luma"', "luma"),
        ("shave_extra = -99", "-99"),
        ('name = "standard"\nchannel = "rgb"', "belongs to a preset"),
        ("channel = ", "not a protocol"),
    ],
)
def test_bad_protocol_files(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as error:
        get_protocol(path)
    assert "mine.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_protocols_name_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'standard'"):
        get_protocol("standart")
    with pytest.raises(InputError, match="no such protocol file"):
        get_protocol("nowhere.toml")


def test_gray_and_classic_images() -> None:
    gray = noise(22, 22)[..., 0]
    assert prepare_hr(gray, 4, PRESETS["standard"]).shape == (20, 20, 3)
    assert np.array_equal(prepare_hr(gray, 4, PRESETS["classic"]), gray[:20, :20])
    y = prepare_hr(noise(22, 22), 4, PRESETS["classic"])
    assert y.shape == (20, 20)
    assert y.min() >= 16
    assert y.max() <= 235
    lr = degrade(y, 4, PRESETS["classic"])
    assert lr.dtype == np.float64
    assert np.any(lr != np.round(lr))
    assert degrade(prepare_hr(gray, 4, PRESETS["standard"]), 4, PRESETS["standard"]).dtype == np.uint8


def test_an_hr_smaller_than_the_border_names_its_file(tmp_path: Path) -> None:
    write_image(tmp_path / "tiny.png", noise(8, 30))
    write_image(tmp_path / "dot.png", noise(1, 1))
    images = from_folder(tmp_path)
    for path in images.paths:
        with pytest.raises(InputError) as error:
            load_sample(images, path, 4, PRESETS["standard"])
        assert path.name in str(error.value)


def test_lr_files_are_checked(tmp_path: Path) -> None:
    hr = noise(24, 24)
    write_image(tmp_path / "HR" / "a.png", hr)
    lr = imresize(hr, 0.25)
    write_image(tmp_path / "LR_bicubic" / "X4" / "ax4.png", lr)
    images = from_folder(tmp_path / "HR")
    assert lr_difference(images, 4, PRESETS["standard"]) == {"a": 0}
    lr[0, 0, 0] ^= 1
    write_image(tmp_path / "LR_bicubic" / "X4" / "ax4.png", lr)
    assert lr_difference(images, 4, PRESETS["standard"]) == {"a": 1}
    write_image(tmp_path / "LR_bicubic" / "X4" / "ax4.png", noise(5, 6))
    with pytest.raises(InputError, match=r"LR is 6×5; its HR a\.png at x4 needs 6×6"):
        load_sample(images, images.paths[0], 4, PRESETS["standard"], lr_files=True)
    with pytest.raises(InputError, match="lr-files"):
        load_sample(images, images.paths[0], 4, PRESETS["classic"], lr_files=True)


def test_a_modulus_that_is_no_multiple_of_the_scale() -> None:
    with pytest.raises(InputError, match="no multiple of the scale 5"):
        PRESETS["rgb"].modulus_for(5)


@pytest.mark.parametrize(
    "fields",
    [
        {"lr": "float"}, {"lr": "float", "channel": "rgb", "luma": "rounded"}, {"gray": "keep"},
        {"lr": "float-rgb", "degradation": "bd"}, {"lr_rounding": "once", "lr": "float-rgb"}, {"clip_enlarged": True},
    ],
)  # fmt: skip
def test_combinations_that_would_measure_something_else(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="needs"):
        Protocol(name="mine", **fields)  # type: ignore[arg-type]
