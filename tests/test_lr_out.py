"""LR images for other programs: what is written, and that ``score`` knows it again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from srbench.cli import main
from srbench.datasets.local import from_folder
from srbench.datasets.lr_out import read_manifest, with_degradation, write_lr
from srbench.datasets.pairs import load_sample
from srbench.errors import InputError
from srbench.images import imresize, read_image, write_image
from srbench.protocol import get_protocol
from tests.builders import smooth


@pytest.fixture
def hr(tmp_path: Path) -> Path:
    for seed in range(3):
        write_image(tmp_path / "photos" / f"p{seed}.png", smooth(50, 62, seed))
    return tmp_path / "photos"


def data_lr(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["data", "lr", *map(str, arguments)])


@pytest.mark.parametrize("degradation", ["", "bd", "dn", "jpeg:quality=30", "two-stage"])
def test_files_are_the_protocols_lr(hr: Path, tmp_path: Path, degradation: str) -> None:
    done = data_lr(
        "--datasets", hr, "--scale", 3, *(["--degradation", degradation] if degradation else []), tmp_path / "out"
    )
    assert done.exit_code == 0, done.output
    folder = tmp_path / "out" / "dir-photos_x3"
    protocol = with_degradation(get_protocol("standard"), degradation)
    images = from_folder(hr)
    for path in images.paths:
        assert np.array_equal(read_image(folder / path.name), load_sample(images, path, 3, protocol).lr)
    manifest = read_manifest(folder)
    assert manifest is not None
    assert (manifest.dataset, manifest.scale, manifest.protocol) == ("dir-photos", 3, protocol)
    assert sorted(manifest.images) == ["p0.png", "p1.png", "p2.png"]


def test_lr_of_another_kind_is_not_replaced(hr: Path, tmp_path: Path) -> None:
    """SR that another program made of the first would be measured as if it were of the second."""
    command = ["data", "lr", "--datasets", str(hr), "--scale", "3", str(tmp_path), "--degradation"]
    assert CliRunner().invoke(main, [*command, "bd"]).exit_code == 0
    before = (tmp_path / "dir-photos_x3" / "p0.png").read_bytes()
    done = CliRunner().invoke(main, [*command, "jpeg:quality=30"])
    assert done.exit_code != 0
    assert "dir-photos_x3 holds LR of standard-bd" in done.output
    assert (tmp_path / "dir-photos_x3" / "p0.png").read_bytes() == before
    assert CliRunner().invoke(main, [*command, "bd"]).exit_code == 0


def test_score_knows_the_files(hr: Path, tmp_path: Path) -> None:
    """Another program upscales them; score measures under the protocol that made them, with the same LR."""
    data_lr("--datasets", hr, "--scale", 3, "--degradation", "bd", "--with-hr", tmp_path / "out")
    folder = tmp_path / "out" / "dir-photos_x3"
    for path in folder.glob("*.png"):
        write_image(tmp_path / "sr" / path.name, imresize(read_image(path), 3.0))
    command = [
        "score",
        "--sr",
        str(tmp_path / "sr"),
        "--hr",
        str(hr),
        "--scale",
        "3",
        "--metrics",
        "psnr,lr-psnr",
        "--json",
    ]
    found = json.loads(CliRunner().invoke(main, [*command, "--lr", str(folder)]).stdout)
    assert found["protocol_fields"]["degradation"] == "bd"
    assert found["notes"] == [], "the LR files are the protocol's, sample by sample"
    other = json.loads(CliRunner().invoke(main, [*command, "--lr", str(folder), "--protocol", "standard"]).stdout)
    assert any("they are as by blur and decimation" in note for note in other["notes"])
    assert other["metrics"]["psnr"]["values"] == found["metrics"]["psnr"]["values"]
    assert read_image(tmp_path / "out" / "dir-photos_x3_HR" / "p0.png").shape == (48, 60, 3)


def test_score_says_whether_the_files_are_those_that_were_written(hr: Path, tmp_path: Path) -> None:
    """The manifest has each file's pixels: a sample at the very edge that is another does not pass for the protocol's LR."""
    data_lr("--datasets", hr, "--scale", 3, "--degradation", "bd", tmp_path)
    folder = tmp_path / "dir-photos_x3"
    for path in folder.glob("*.png"):
        write_image(tmp_path / "sr" / path.name, imresize(read_image(path), 3.0))
    command = ["score", "--sr", tmp_path / "sr", "--hr", hr, "--scale", 3, "--metrics", "psnr", "--lr", folder]

    def told() -> str:
        return CliRunner().invoke(main, [str(part) for part in command]).stderr

    assert "3 of 3 LR images" in told()
    assert "identical to those of its manifest" in told()
    changed = read_image(folder / "p1.png").copy()
    changed[0, 0, 0] ^= 1
    write_image(folder / "p1.png", changed)
    assert "not as its manifest has them: p1.png" in told()
    assert "identical" not in told()


def test_a_seed_is_another_draw(hr: Path, tmp_path: Path) -> None:
    for seed in (1, 2):
        data_lr("--datasets", hr, "--scale", 4, "--degradation", "dn", "--seed", seed, tmp_path / str(seed))
    one, other = (read_manifest(tmp_path / seed / "dir-photos_x4") for seed in "12")
    assert one is not None
    assert other is not None
    assert set(one.images.values()).isdisjoint(other.images.values())
    assert one.protocol.id != other.protocol.id


def test_what_no_file_can_hold(hr: Path, tmp_path: Path) -> None:
    done = data_lr("--datasets", hr, "--scale", 4, "--protocol", "classic", tmp_path / "out")
    assert (done.exit_code, "unrounded LR, which no 8-bit file can hold" in done.output) == (1, True)
    done = data_lr("--datasets", hr, "--scale", 4, "--degradation", "bicubik", tmp_path / "out")
    assert "Did you mean 'bicubic'" in done.output
    done = data_lr("--datasets", hr, "--scale", 8, "--degradation", "gaussian8", tmp_path / "out")
    assert "gaussian8 is defined at x2, x3, x4, not at x8" in done.output
    assert not (tmp_path / "out").exists()


def test_manifests_that_are_none(hr: Path, tmp_path: Path) -> None:
    assert read_manifest(hr) is None
    folder = write_lr(from_folder(hr), 4, get_protocol("standard"), tmp_path)
    for text in (
        '{"kind": "lr"}',
        '{"kind": "lr", "protocol_fields": {"name": "x", "chanel": "y"}, "images": {}}',
        "{",
    ):
        (folder / "manifest.json").write_text(text)
        with pytest.raises((InputError, Exception), match=r"manifest\.json"):
            read_manifest(folder)
    (folder / "manifest.json").write_text('{"kind": "another program\'s"}')
    assert read_manifest(folder) is None
