"""Damaged records, cards, protocols, recipes and archives: the same content or a clear error, never another number."""

from __future__ import annotations

import json
import random
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomli_w

from srbench.datasets.unpack import unpack
from srbench.protocol import PRESETS, get_protocol
from srbench.records import KEY
from srbench.results import MetricScores, Result, read_result, write_result
from srbench.speed_results import SpeedResult, VariantSpeed, read_speed, write_speed
from srbench.zoo import Card, read_card, write_card
from tests.campaign import Fuzzer, damage

IMAGES = ["baby", "bird", "butterfly", "head", "woman"]
QUALITY = Result(
    checkpoint="mutant",
    model="fsrcnn",
    dataset="set5",
    scale=4,
    protocol="standard.v1",
    images=IMAGES,
    metrics={
        name: MetricScores(
            unit=unit,
            higher_is_better=True,
            digits=digits,
            version=1,
            space="channel",
            values=[v + i / 7 for i in range(5)],
        )
        for name, unit, digits, v in (("psnr", "dB", 2, 30.0), ("ssim", "", 4, 0.25))
    },
    parameters=12464,
    seconds=0.5,
    provenance={"commit": "0123456789ab", "torch": "2"},
)
SPEED = SpeedResult(
    name="mutant", model="fsrcnn", scale=4, random_weights=True, device="cpu", device_type="cpu", device_name="CPU",
    torch="2", threads=1, input=(180, 320), output=(720, 1280), run="now", seconds=1.0, spread_limit=0.1,
    variants={"eager": VariantSpeed(n=3, times_ms=[2.0, 2.5, 2.25], median_ms=2.25)},
)  # fmt: skip
CARD = Card(
    name="mutant_x4.tuned", model="mutant", scales=[4], channels="y", recipe="tuned", parameters=12, data={"t91": "0"},
    steps=10, samples_seen=160, seed=0, commit="", hardware="", wall_time_s=1.0, precision="fp32",
    config={"lr": 0.001, "patch": 48}, curve=[{"step": 5, "val_psnr": 29.5}, {"step": 10, "val_psnr": 30.25}],
)  # fmt: skip

Reader = Callable[[Path], object]


def prepare(folder: Path) -> list[tuple[Path, Reader, object]]:
    """A sound record of each kind, how it is read, and what it then is."""
    made: list[tuple[Path, Reader]] = [
        (write_result(QUALITY, folder), read_result),
        (write_speed(SPEED, folder), read_speed),
        (write_card(CARD, folder), read_card),
    ]
    return [(path, read, read(path)) for path, read in made]


def attempt(prepared: object, random_: random.Random, folder: Path) -> None:
    """One damaged record: bytes, or a value that an editor or a merge changed."""
    assert isinstance(prepared, list)
    path, read, expected = random_.choice(prepared)
    sound = path.read_bytes()
    edit = edited_toml if path.suffix == ".toml" else edited_json
    content = edit(sound, random_) if random_.random() < 0.5 else damage(sound, random_)
    try:
        path.write_bytes(content)
        found = read(path)
    finally:
        path.write_bytes(sound)
    assert found == expected, f"{path.name}: {difference(found, expected)}"


def difference(found: Any, expected: Any) -> str:
    """The fields that differ."""
    return ", ".join(
        f"{key} = {getattr(found, key)!r:.60}"
        for key in type(expected).model_fields
        if getattr(found, key) != getattr(expected, key)
    )


def edited_json(sound: bytes, random_: random.Random) -> bytes:
    """A value changed, lost or doubled, the checksum as it was."""
    values = json.loads(sound)
    edit(values, random_)
    text = json.dumps(values, indent=random_.choice((1, 4, None)))
    if random_.random() < 0.2:
        text = text.replace("1", random_.choice(("1e999", "NaN", "true", "01", "1" * 5000, "-Infinity")), 1)
    if random_.random() < 0.1:
        at = text.index("{") + 1
        text = text[:at] + '"scale": 3,' + text[at:]
    return text.encode()


def edited_toml(sound: bytes, random_: random.Random) -> bytes:
    """As ``edited_json``."""
    values = tomllib.loads(sound.decode())
    edit(values, random_)
    return tomli_w.dumps(values).encode()


def edit(values: dict[str, Any], random_: random.Random) -> None:
    """Change one thing at any depth, but not the checksum, which nobody would put right by chance."""
    place: Any = values
    while True:
        keys = [k for k in (place if isinstance(place, dict) else range(len(place))) if k != KEY]
        if not keys:
            return
        key = random_.choice(keys)
        if isinstance(place[key], dict | list) and place[key] and random_.random() < 0.8:
            place = place[key]
            continue
        break
    action = random_.randrange(4)
    if action == 0:
        del place[key]
    elif action == 1 and isinstance(place[key], int | float):
        place[key] = random_.choice((place[key] + 1, place[key] * 1.001, -place[key], 0, True, "1", 10**30))
    elif action == 2:
        place[key] = random_.choice((0, 1, True, False, "", "x", [], {}, 1.5, "inf"))
    elif isinstance(place, dict):
        place[f"{key}_"] = place[key]
    else:
        place.append(place[key])


def prepare_protocols(folder: Path) -> dict[Path, object]:
    """The presets as files under other names."""
    made = {}
    for name, preset in PRESETS.items():
        path = folder / f"mutant-{name}.toml"
        values = {k: v for k, v in preset.model_dump().items() if v is not None} | {"name": f"mine-{name}"}
        path.write_text(tomli_w.dumps(values))
        made[path] = get_protocol(path)
    return made


def attempt_protocol(prepared: object, random_: random.Random, folder: Path) -> None:
    """A protocol has no checksum, as people write it: another one has another id."""
    assert isinstance(prepared, dict)
    path = random_.choice(list(prepared))
    sound = path.read_bytes()
    try:
        path.write_bytes(damage(sound, random_))
        found = get_protocol(path)
    finally:
        path.write_bytes(sound)
    expected = prepared[path]
    alike = found.model_dump(exclude={"name"}) == expected.model_dump(exclude={"name"})
    assert alike == (found.id.partition("-")[2][-9:] == expected.id.partition("-")[2][-9:])


def prepare_archives(folder: Path) -> tuple[bytes, dict[str, bytes]]:
    """A zip of a few files."""
    files = {"inner/a.png": bytes(range(256)) * 8, "inner/b.png": b"b" * 4000, "readme.txt": b"hello"}
    path = folder / "sound.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path.read_bytes(), files


def attempt_archive(prepared: object, random_: random.Random, folder: Path) -> None:
    """A damaged archive: what comes out is what was put in, under whatever name, and lies in the folder."""
    import shutil

    assert isinstance(prepared, tuple)
    sound, files = prepared
    top = folder / "archive"
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir()
    (top / "mutant.zip").write_bytes(damage(sound, random_))
    with_error = True
    try:
        unpack(top / "mutant.zip", top / "out")
        with_error = False
    finally:
        assert {path.name for path in top.iterdir()} <= {"mutant.zip", "out"}, "something left the folder"
        if not with_error:
            found = [path.read_bytes() for path in (top / "out").rglob("*") if path.is_file()]
            strange = [content[:40] for content in found if content not in files.values()]
            assert not strange, f"{strange} came out"


FUZZER = Fuzzer("records", prepare, attempt)
PROTOCOLS = Fuzzer("protocols", prepare_protocols, attempt_protocol)
ARCHIVES = Fuzzer("archives", prepare_archives, attempt_archive)
