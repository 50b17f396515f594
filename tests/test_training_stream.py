"""Images that fit neither in memory nor on disk: the same batches, within the bounds; older caches make room for new ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from srbench.cli import main
from srbench.datasets.local import find_dataset
from srbench.errors import InputError
from srbench.images import imresize, write_image
from srbench.training.data import cache
from srbench.training.data.decode import Wanted, decode, size_of_copy
from srbench.training.data.images import TrainingImages, load_images
from srbench.training.data.pairs import find_lr
from srbench.training.data.sampler import Sampler
from srbench.training.data.stages import holding
from srbench.training.data.stream import Part, Stream
from srbench.training.loop.options import RunOptions
from srbench.training.loop.trainer import train
from tests.builders import noise, small_recipe, smooth, write_images

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Six images of several sizes, one smaller than the crops here; the cache lies beside them."""
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    for index, size in enumerate([(50, 61), (20, 90), (90, 70), (75, 64), (48, 48), (97, 103)]):
        write_image(tmp_path / f"p{index}.png", noise(*size, index))
    return sorted(tmp_path.glob("*.png"))


def streamed(images: TrainingImages) -> Stream:
    assert isinstance(images.hr, Part)
    return images.hr.stream


@pytest.mark.parametrize("memory", [0, 20_000, 60_000])
@pytest.mark.parametrize("degradation", ["bicubic", "bd", "jpeg:quality=30"])
def test_drawn_images_give_the_same_batches_within_the_bound(paths: list[Path], memory: int, degradation: str) -> None:
    whole = load_images(paths, 4, 6, (0.7, 0.5), degradation=degradation)
    drawn = load_images(paths, 4, 6, (0.7, 0.5), degradation=degradation, memory=memory, disk=0)
    stream = streamed(drawn)
    assert whole.sizes == drawn.sizes
    assert (whole.too_small, whole.bad) == (drawn.too_small, drawn.bad) == (("p1.png",), ())
    largest = max(one.bytes(stream.wanted) for one in drawn.hr.drawn)  # type: ignore[attr-defined]
    ours, theirs = Sampler(whole, 6, 5, 0), Sampler(drawn, 6, 5, 0)
    for step in (7, 0, 1, 2, 3, 1):
        for one, other in zip(ours.gather(step), theirs.gather(step), strict=True):
            np.testing.assert_array_equal(one, other)
        assert stream.held <= max(memory, largest)
    before = stream.decoded
    theirs.gather(1)
    if memory == 0:
        assert stream.decoded > before


def test_enough_memory_decodes_each_copy_once(paths: list[Path]) -> None:
    drawn = load_images(paths, 4, 6, memory=0, disk=0)
    streamed(drawn).memory = 10**6
    sampler = Sampler(drawn, 6, 5, 0)
    for step in range(30):
        sampler.gather(step)
    assert streamed(drawn).decoded == len(drawn.hr) == 5


def test_stages_and_upscaled_inputs_draw_from_them(paths: list[Path]) -> None:
    whole, drawn = (load_images(paths, 4, 6, margin=3, memory=memory, disk=0) for memory in (10**9, 20_000))
    larger = [Sampler(holding(images, 15), 15, 3, 1, pre_upsampled=True) for images in (whole, drawn)]
    for one, other in zip(*(sampler.gather(4) for sampler in larger), strict=True):
        np.testing.assert_array_equal(one, other)


def test_pairs_are_drawn_too(paths: list[Path], tmp_path: Path) -> None:
    for name, divisor in (("HR", 1), ("LR_x4", 4)):
        for index in range(4):
            image = smooth(96, 128, index)
            write_image(tmp_path / "set" / name / f"a{index}.png", image if divisor == 1 else imresize(image, 0.25))
    images = find_dataset(tmp_path / "set" / "HR", lr_folder=tmp_path / "set" / "LR_x4")
    lr = find_lr([images], str(tmp_path / "set" / "LR_x4"), 4)
    whole = load_images(images.paths, 4, 6, lr=lr)
    drawn = load_images(images.paths, 4, 6, lr=lr, memory=30_000, disk=0)
    for one, other in zip(Sampler(whole, 6, 3, 0).gather(2), Sampler(drawn, 6, 3, 0).gather(2), strict=True):
        np.testing.assert_array_equal(one, other)


def test_files_are_looked_through_once_and_bad_ones_are_named(paths: list[Path], tmp_path: Path) -> None:
    paths[2].write_bytes(paths[2].read_bytes()[:300])
    with pytest.raises(InputError, match=r"p2\.png.*--skip-bad leaves such images out"):
        load_images(paths, 4, 6, memory=0, disk=0)
    looked: list[int] = []
    for _ in range(2):
        images = load_images(paths, 4, 6, memory=0, disk=0, skip_bad=True, advance=lambda: looked.append(1))
        assert images.bad == ("p2.png",)
    assert not looked  # both times what the first call found
    write_image(paths[2], noise(40, 40))
    assert len(load_images(paths, 4, 6, memory=0, disk=0, advance=lambda: looked.append(1)).hr) == 5
    assert len(looked) == 6
    next((tmp_path / "cache" / "training").glob("*.sizes.json")).write_text("{")
    load_images(paths, 4, 6, memory=0, disk=0)


def test_an_image_that_changes_meanwhile_is_named(paths: list[Path]) -> None:
    images = load_images(paths, 4, 6, memory=0, disk=0)
    write_image(paths[0], noise(60, 60))
    with pytest.raises(InputError, match=r"p0\.png changed while it was trained on"):
        images.hr[0]


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(8, 90),
    width=st.integers(8, 90),
    factor=st.sampled_from([1.0, 0.9, 0.8, 0.7, 0.6, 0.55]),
    scale=st.sampled_from([2, 3, 4]),
)
def test_sizes_of_copies_are_known_without_making_them(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, factor: float, scale: int
) -> None:
    path = tmp_path_factory.getbasetemp() / f"{height}x{width}.png"
    write_image(path, noise(height, width))
    copies = decode(path, Wanted(scale, () if factor == 1.0 else (factor,)), scale).copies
    for copy in copies:
        assert copy.hr.shape[:2] == size_of_copy((height, width), copy.factor, scale)


def test_older_caches_make_room(paths: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "training"
    size = cache.estimate(paths, 4, ())
    for number, scale in enumerate((2, 3, 4)):
        load_images(paths, scale, 6, memory=0, disk=2.9 * size)
        time.sleep(0.02 if number else 0)
    first = {path.stem for path in folder.glob("*.bin")}
    assert len(first) == 2
    load_images(paths, 3, 6, memory=0, disk=2.9 * size)  # used again, so that x4 is the older one
    kept = cache.key(paths, Wanted(3, (), 3))
    os.utime(folder / f"{cache.key(paths, Wanted(4, (), 3))}.json", (0, 0))
    load_images(paths, 2, 6, memory=0, disk=2.9 * size)
    assert {path.stem for path in folder.glob("*.bin")} == {kept, cache.key(paths, Wanted(2, (), 3))}
    assert len(list(folder.glob("*.json"))) == 2


def test_the_bound_of_the_disk_has_a_variable_and_a_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "not" / "there"))
    assert 0 < cache.default_disk() <= 32 * 2**30
    monkeypatch.setenv("SRBENCH_CACHE_DISK", "0.5")
    assert RunOptions().disk == cache.default_disk() == 2**29
    assert RunOptions(cache_disk=7.0).disk == 7.0
    monkeypatch.setenv("SRBENCH_CACHE_DISK", "much")
    with pytest.raises(InputError, match="SRBENCH_CACHE_DISK = 'much'; expected a number of GiB"):
        cache.default_disk()


def test_a_run_ends_in_the_same_weights_wherever_its_images_are(
    tmp_path: Path, srbench_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    recipe = small_recipe(write_images(tmp_path / "images"), rescale=(0.8,), degradation="dn", steps=8)
    bounds = {"memory": (1e9, 1e9), "disk": (0.0, 1e9), "drawn": (1e5, 0.0)}
    for name, (memory, disk) in bounds.items():
        options = RunOptions(name=name, threads=1, cache_memory=memory, cache_disk=disk)
        train("fsrcnn_s", recipe, options)
    said = " ".join(capsys.readouterr().err.split())
    assert "they are in a cache on disk" in said
    assert "they are decoded again when they are drawn; `srbench data subimages`" in said
    weights = {(srbench_home / "zoo" / "fsrcnn_s" / f"x4.{name}.safetensors").read_bytes() for name in bounds}
    assert len(weights) == 1


@pytest.mark.slow
def test_2k_images_stay_within_a_bound_of_memory(tmp_path: Path) -> None:
    """32 images of 2040×1356 pixels, 269 MiB decoded with their LR, in 24 MiB: peak memory above that of one image."""
    for index in range(32):
        path = tmp_path / "images" / f"p{index:02}.png"
        if index < 4:
            write_image(path, smooth(1356, 2040, index))
        else:
            shutil.copy(tmp_path / "images" / f"p{index % 4:02}.png", path)
    code = (
        "import hashlib, sys; from pathlib import Path; import torch; torch.set_num_threads(1);"
        "from srbench.training.data.images import load_images; from srbench.training.data.sampler import Sampler;"
        "count, memory, disk = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]);"
        f"paths = sorted(Path({str(tmp_path / 'images')!r}).glob('*.png'))[:count];"
        "s = Sampler(load_images(paths, 4, 48, memory=memory * 2**20, disk=disk), 48, 1 if count == 1 else 8, 0);"
        "d = hashlib.sha256();"
        "[d.update(part.data) for step in range(6) for part in s.gather(step)];"
        "print(d.hexdigest(), Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )

    def run(*arguments: object) -> tuple[str, int]:
        environment = {**os.environ, "SRBENCH_CACHE": str(tmp_path / "cache")}
        command = [sys.executable, "-c", code, *map(str, arguments)]
        made = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        digest, peak = made.stdout.split()
        return digest, int(peak) // 1024

    _, base = run(1, 1e6, 0)
    whole, all_in_memory = run(32, 1e6, 0)
    drawn, bounded = run(32, 24, 0)
    said = f"peak MiB: one image {base}, 32 in memory {all_in_memory}, 32 within 24 MiB {bounded}"
    assert drawn == whole
    assert all_in_memory - base > 240, said
    assert bounded - base < 24 + 110, (
        said
    )  # what decoders take beside the bound does not grow with the number of images
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file()) < 10_000


def test_the_command_takes_both_bounds(tmp_path: Path, srbench_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    images = write_images(tmp_path / "images")
    small = ["--steps", "2", "--set", "val=2", "--set", "batch=4", "--set", "patch=8", "--dirty", "--name", "drawn"]
    bounds = ["--cache-memory", "0.0001", "--cache-disk", "0"]
    done = CliRunner().invoke(main, ["train", "fsrcnn_s", "--data", str(images), *small, *bounds])
    assert done.exit_code == 0, done.output
    assert "when they are drawn" in " ".join(done.output.split())
    assert (srbench_home / "zoo" / "fsrcnn_s" / "x4.drawn.safetensors").is_file()
