"""Decoded images on disk: the same bytes as in memory, found again by the files' hashes, built anew when damaged."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from srbench.errors import InputError
from srbench.files import listed, replacing
from srbench.images import write_image
from srbench.training.data import cache
from srbench.training.data.decode import Decoded, Wanted, decode_all
from srbench.training.data.images import TrainingImages, load_images
from srbench.training.data.sampler import Sampler


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Five images, one smaller than the crops here; the cache lies beside them."""
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    for index, size in enumerate([(50, 61), (20, 90), (90, 70), (75, 64), (48, 48)]):
        write_image(tmp_path / f"p{index}.png", random.integers(0, 256, (*size, 3), dtype=np.uint8))
    return sorted(tmp_path.glob("*.png"))


def load(paths: list[Path], memory: float, **options: object) -> tuple[TrainingImages, int]:
    """The images, and how many files were decoded."""
    decoded: list[int] = []
    images = load_images(paths, 4, 6, (0.7, 0.5), advance=lambda: decoded.append(1), memory=memory, **options)  # type: ignore[arg-type]
    return images, len(decoded)


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "training").iterdir())


def test_mapped_images_equal_those_in_memory_and_give_the_same_batches(paths: list[Path], tmp_path: Path) -> None:
    whole, count = load(paths, 10**9)
    assert count == 5
    assert not (tmp_path / "cache" / "training").exists()
    mapped, count = load(paths, 1000)
    assert count == 5
    assert (len(whole.hr), mapped.too_small) == (len(mapped.hr), whole.too_small) == (12, ("p1.png",))
    edge = mapped.margin
    for one, other in zip(whole.hr, mapped.hr, strict=True):
        np.testing.assert_array_equal(one, other)
        assert not other.flags.writeable
    for one, other in zip(whole.lr, mapped.lr, strict=True):
        np.testing.assert_array_equal(one, other[edge:-edge, edge:-edge])
    for step in range(5):
        for one, other in zip(Sampler(whole, 6, 4, 0).gather(step), Sampler(mapped, 6, 4, 0).gather(step), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_cache_is_used_again_and_serves_every_patch(paths: list[Path], tmp_path: Path) -> None:
    load(paths, 0)
    assert load(paths, 0)[1] == 0
    assert len(files(tmp_path)) == 2
    decoded: list[int] = []
    larger = load_images(paths, 4, 12, (0.7, 0.5), advance=lambda: decoded.append(1), memory=0)
    assert not decoded
    assert [hr.shape for hr in larger.hr] == [hr.shape for hr in load_images(paths, 4, 12, (0.7, 0.5)).hr]


def test_other_images_scales_and_sizes_have_other_caches(paths: list[Path]) -> None:
    base = cache.key(paths, Wanted(4, (0.7,), 3))
    assert base == cache.key(paths, Wanted(4, (0.7,), 3))
    others = {
        cache.key(paths, Wanted(3, (0.7,), 3)),
        cache.key(paths, Wanted(4, (), 3)),
        cache.key(paths[1:], Wanted(4, (0.7,), 3)),
    }
    write_image(paths[0], np.zeros((50, 61, 3), np.uint8))
    others.add(cache.key(paths, Wanted(4, (0.7,), 3)))
    assert len(others | {base}) == 5


@pytest.mark.parametrize("damage", ["flipped byte", "cut off", "no index", "broken index", "index of another"])
def test_a_damaged_cache_is_built_anew(damage: str, paths: list[Path], tmp_path: Path) -> None:
    good, _ = load(paths, 0)
    pixels, index = files(tmp_path)
    if damage == "flipped byte":
        changed = bytearray(pixels.read_bytes())
        changed[1000] ^= 1
        pixels.write_bytes(changed)
    elif damage == "cut off":
        pixels.write_bytes(pixels.read_bytes()[:-10])
    elif damage == "no index":
        index.unlink()
    elif damage == "broken index":
        index.write_text(index.read_text()[:50])
    else:
        facts = json.loads(index.read_text())
        index.write_text(json.dumps(facts | {"sha256": "0" * 64}))
    again, count = load(paths, 0)
    assert count == 5
    for one, other in zip(good.hr, again.hr, strict=True):
        assert one.shape == other.shape
    assert load(paths, 0)[1] == 0
    assert {path.suffix for path in files(tmp_path)} == {".bin", ".json"}


def test_bad_images_are_named_and_a_cache_remembers_them(paths: list[Path], tmp_path: Path) -> None:
    paths[2].write_bytes(paths[2].read_bytes()[:300])
    for memory in (0, 10**9):
        with pytest.raises(InputError, match=r"p2\.png.*--skip-bad leaves such images out"):
            load(paths, memory)
    assert not list((tmp_path / "cache" / "training").glob("*"))
    assert load(paths, 0, skip_bad=True)[0].bad == ("p2.png",)
    again, count = load(paths, 0, skip_bad=True)
    assert (again.bad, count) == (("p2.png",), 0)
    with pytest.raises(InputError, match=r"p2\.png"):
        load(paths, 0)
    for path in paths:
        path.write_bytes(path.read_bytes()[:300])
    for memory in (0, 10**9):
        with pytest.raises(InputError, match=r"none of the 5 training images .* \(5 cannot be read\)"):
            load(paths, memory, skip_bad=True)


def test_a_disk_without_room_is_named_before_or_while_it_fills(
    paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
        with pytest.raises(InputError, match=r"0\.0 GiB left; raise --cache-memory, or point SRBENCH_CACHE"):
            load(paths, 0)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match="became full while the decoded images were written"):
            load(paths, 0)
    assert files(tmp_path) == []
    assert load(paths, 0)[1] == 5


def test_the_estimate_is_close_and_passes_over_what_cannot_be_read(paths: list[Path], tmp_path: Path) -> None:
    taken = sum(
        part.nbytes
        for file in decode_all(paths, Wanted(4, (0.7,)), 4)
        for copy in file.copies
        for part in (copy.hr, copy.lr)
    )
    assert cache.estimate(paths, 4, (0.7,)) == pytest.approx(taken, rel=0.1)
    (tmp_path / "text.png").write_text("no image")
    assert cache.estimate([*paths, tmp_path / "text.png"], 4, (0.7,)) == cache.estimate(paths, 4, (0.7,))
    assert cache.default_memory() > 2**28


def test_one_variable_rules_the_memory_of_training_and_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_CACHE_MEMORY", "0.25")
    assert cache.default_memory() == 2**28


def test_files_come_in_order_however_long_each_takes(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(path: Path, *_: object) -> Decoded:
        time.sleep(0.05 if path.name == "p0.png" else 0)
        return Decoded(path.name)

    monkeypatch.setattr("srbench.training.data.decode.decode", slow)
    assert [file.name for file in decode_all(paths, Wanted(4), 24)] == [path.name for path in paths]


def test_room_is_made_of_whole_caches_alone(paths: list[Path], tmp_path: Path) -> None:
    """What another process is writing is not counted, removed or waited for, and the cache it has just written goes last."""
    load(paths, 0)
    folder = tmp_path / "cache" / "training"
    pixels, index = files(tmp_path)
    os.utime(index, (1, 1))
    with replacing(folder / "other.bin") as staging:
        staging.write_bytes(b"x" * 1000)
        (folder / "new.bin").write_bytes(b"x" * 10)  # its index comes next
        cache.make_room(folder, pixels.stat().st_size, pixels.stat().st_size + 10)
        assert staging.exists()
    assert {path.name for path in files(tmp_path)} == {"other.bin", "new.bin"}


def test_caches_that_another_process_removes_meanwhile_are_no_fault(
    paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(paths, 0)
    folder = tmp_path / "cache" / "training"

    def gone(folder: Path, pattern: str) -> list[Path]:
        return [*listed(folder, pattern), folder / "gone.bin"]

    monkeypatch.setattr(cache, "listed", gone)
    assert cache.default_disk() > 0
    cache.make_room(folder, 10, 0)
    assert files(tmp_path) == []


@pytest.mark.slow
def test_processes_that_build_one_cache_at_once_agree(paths: list[Path], tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from srbench.training.data.images import load_images;"
        f"p = load_images(sorted(Path({str(tmp_path)!r}).glob('*.png')), 4, 6, (0.7, 0.5), memory=0);"
        "print(sum(int(hr.sum()) for hr in p.hr))"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    sums = {run.communicate(timeout=120)[0] for run in runs}
    assert {run.returncode for run in runs} == {0}
    assert sums == {f"{sum(int(hr.sum()) for hr in load(paths, 10**9)[0].hr)}\n"}
    assert len(files(tmp_path)) == 2


@pytest.mark.slow
def test_processes_that_take_each_others_room_all_go_on(paths: list[Path], tmp_path: Path) -> None:
    """Three sets on a disk with room for one: each process removes the caches that the others have just written."""
    for index in range(3):
        (tmp_path / f"set{index}").mkdir()
        for path in paths:
            shutil.copy(path, tmp_path / f"set{index}" / f"{index}{path.name}")
    code = (
        "import random, sys; from pathlib import Path; from srbench.training.data.images import load_images\n"
        "random.seed(int(sys.argv[2]))\n"
        "for _ in range(60):\n"
        "    found = sorted((Path(sys.argv[1]) / f'set{random.randrange(3)}').glob('*.png'))\n"
        "    print(sum(int(hr.sum()) for hr in load_images(found, 4, 6, (0.7, 0.5), memory=0, disk=130000).hr))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    runs = [subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, text=True) for seed in range(3)]
    sums = [run.communicate(timeout=120)[0] for run in runs]
    assert {run.returncode for run in runs} == {0}
    assert set("".join(sums).split()) == {str(sum(int(hr.sum()) for hr in load(paths, 10**9)[0].hr))}
