"""Cards of authors' weights: whole, true to the manifest at hand, attached to their own bytes alone; figures reproduced."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from srbench.cli import main
from srbench.datasets.catalog import CATALOG
from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.evaluation.authors import PSNR_TOLERANCE, SSIM_TOLERANCE, rows
from srbench.models import MODELS
from srbench.protocol import PRESETS
from srbench.published import PublishedCard, fetch, find_published, list_published, local_file, published_card
from srbench.subjects import resolve_one

CARDS = list_published()
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_card_is_whole(card: PublishedCard) -> None:
    assert not card.model or card.model in MODELS
    assert card.name.split(".")[0].endswith("".join(f"x{scale}" for scale in card.scales))
    assert card.url.startswith(f"https://raw.githubusercontent.com/{card.repo}/{card.commit}/")
    assert card.figures or card.notes, "without figures, it says why"
    for figure in card.figures:
        assert figure.dataset in CATALOG
        assert figure.protocol in PRESETS
        assert figure.scale in card.scales
        assert figure.source.startswith(("the paper", "VDSR's paper")), "the paper first, then where it was read"
    assert find_published(card.name) == card
    assert published_card(card.sha256) == card


def test_cards_are_the_manifests_files(checkpoints_root: Path) -> None:
    with (checkpoints_root / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        listed = {row["sha256"]: row for row in csv.DictReader(file, delimiter="\t")}
    cards = {card.sha256: card for card in CARDS}
    assert set(listed) <= set(cards)
    for sha256, row in listed.items():
        card = cards[sha256]
        assert (card.repo, card.commit, card.path, card.bytes) == (
            row["repo"],
            row["commit"],
            row["path"],
            int(row["bytes"]),
        )
        assert local_file(card, checkpoints_root) == checkpoints_root / row["file"]


def test_another_file_of_the_architecture_is_not_the_papers(tmp_path: Path, checkpoints_root: Path) -> None:
    """One bit decides: a fine-tuned IMDN has no claim to the figures of IMDN's paper."""
    path = checkpoints_root / "IMDN_x3.pth"
    assert resolve_one(path).weights_sha256 == find_published("imdn_x3.authors").sha256
    state = torch.load(path, weights_only=True, map_location="cpu")
    state["module.fea_conv.bias"] = state["module.fea_conv.bias"] * 1.000001
    torch.save(state, tmp_path / "IMDN_x3.pth")
    subject = resolve_one(tmp_path / "IMDN_x3.pth")
    assert published_card(subject.weights_sha256) is None
    assert not any("authors' weights" in note for note in subject.notes)


def test_by_name(checkpoints_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = resolve_one("rlfn_s_x4.authors")
    assert (subject.name, subject.model, subject.scales) == ("rlfn_s_x4.authors", "rlfn_s", (4,))
    assert subject.upscaler().traits.range == 255
    monkeypatch.delenv("SRBENCH_CHECKPOINTS")
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"`srbench zoo get rlfn_s_x4\.authors` fetches them"):
        resolve_one("rlfn_s_x4.authors")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'imdn_x3\.authors'"):
        find_published("imdn_x4.authors")


def test_a_download_is_verified(tmp_path: Path, checkpoints_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SRBENCH_CHECKPOINTS")
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path))
    content = (checkpoints_root / "fsrcnn_x2.mat").read_bytes()
    served = {"good": content, "bad": content[:-1] + b"x"}
    asked = []

    def download(url: str, path: Path, size: int, expected: str, advance: object = None) -> str:
        from hashlib import sha256

        asked.append(url)
        path.write_bytes(served[kind])
        if (got := sha256(served[kind]).hexdigest()) != expected:
            raise InputError(f"{url}: expected sha256 {expected}, got {got}")
        return got

    monkeypatch.setattr("srbench.download.download", download)
    kind = "bad"
    with pytest.raises(InputError, match="expected sha256"):
        fetch("fsrcnn_x2.authors")
    assert not list(tmp_path.rglob("*.mat"))
    kind = "good"
    path = fetch("fsrcnn_x2.authors")
    assert path.read_bytes() == content
    assert fetch("fsrcnn_x2.authors") == path
    assert asked == [find_published("fsrcnn_x2.authors").url] * 2, "what is here is not fetched again"


@pytest.mark.slow
@pytest.mark.parametrize("card", [card for card in CARDS if card.model], ids=lambda card: card.name)
def test_printed_figures_are_reproduced(card: PublishedCard, checkpoints_root: Path, data_root: Path) -> None:
    made = list(rows(checkpoints_root, str(data_root), (card.name,)))
    assert len(made) == max(len(card.figures), 2 * len(card.scales))
    for row in made:
        assert row.ok is not False, row
        assert row.ok or row.reason
        if row.ok:
            assert row.published[0] is not None
            assert row.measured[0] is not None
            assert abs(row.published[0] - row.measured[0]) <= PSNR_TOLERANCE + 1e-6
        if row.ok and row.published[1] is not None:
            assert row.measured[1] is not None
            assert abs(row.published[1] - row.measured[1]) <= SSIM_TOLERANCE + 1e-6


@pytest.mark.parametrize(
    ("name", "protocol", "expected"),
    [
        ("fsrcnn_x2.mat", "classic", (37.00, 0.9558)),
        ("fsrcnn_x3.mat", "classic", (33.16, 0.9140)),
        ("fsrcnn_x4.mat", "classic", (30.71, 0.8657)),
        ("srcnn_9-5-5_ImageNet_x2.mat", "classic", (36.66, 0.9542)),
        ("srcnn_9-5-5_ImageNet_x3.mat", "classic", (32.75, 0.9090)),
        ("srcnn_9-5-5_ImageNet_x4.mat", "classic", (30.48, 0.8628)),
        ("IMDN_x3.pth", "standard", (34.36, 0.9270)),
        ("zhaohengyuan1_PAN__PANx4_DF2K.pth", "standard", (32.13, 0.8948)),
    ],
)
def test_one_command_gives_the_figure(
    srbench_home: Path, checkpoints_root: Path, data_root: Path, name: str, protocol: str, expected: tuple[float, float]
) -> None:
    """The card is left out of it: the number comes right for a file that nobody knows."""
    from srbench.results import read_results

    arguments = ["eval", str(checkpoints_root / name), "--datasets", "set5", "--protocol", protocol, "--no-report"]
    done = CliRunner().invoke(main, [*arguments, "--metrics", "psnr,ssim"])
    assert done.exit_code == 0, done.output
    (result,) = read_results()
    assert abs(result.mean("psnr") - expected[0]) <= PSNR_TOLERANCE
    assert abs(result.mean("ssim") - expected[1]) <= SSIM_TOLERANCE
    assert published_card(result.weights_sha256) is not None


@pytest.mark.parametrize(("dataset", "count"), [("set5", 5), pytest.param("set14", 14, marks=pytest.mark.slow)])
def test_pan_image_by_image(checkpoints_root: Path, data_root: Path, dataset: str, count: int) -> None:
    """The authors' own logs, image by image: within 3e-5 dB."""
    from srbench.evaluation import evaluate

    with (checkpoints_root / "PANx4_per_image.tsv").open(encoding="utf-8", newline="") as file:
        logs = [row for row in csv.DictReader(file, delimiter="\t") if row["set"].lower() == dataset]
    result = evaluate(checkpoints_root / "zhaohengyuan1_PAN__PANx4_DF2K.pth", dataset, metrics=["psnr", "ssim"])
    assert len(logs) == len(result.images) == count
    for row in logs:
        name = next(value for key, value in row.items() if key not in ("scale", "set", "log_psnr_y", "log_ssim_y"))
        at = result.images.index(name)
        assert result.metrics["psnr"].values[at] == pytest.approx(float(row["log_psnr_y"]), abs=3e-5)
        assert result.metrics["ssim"].values[at] == pytest.approx(float(row["log_ssim_y"]), abs=2e-6)


def test_a_network_that_nobody_knows_says_how_it_can_be_given(checkpoints_root: Path) -> None:
    done = CliRunner().invoke(main, ["eval", str(checkpoints_root / "xiaom233_BSRN__net_g_BSRN-S.pth")])
    assert done.exit_code == 1
    assert "BSRN-S of xiaom233/BSRN" in done.output
    assert "srbench eval package.module:Class --weights FILE" in done.output
