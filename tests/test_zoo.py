"""Checkpoints and cards: written whole, read without torch, checked against their hash."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.models import create_model
from srbench.records import seal
from srbench.reports.page import data
from srbench.zoo import (
    Card,
    checkpoint_name,
    find_checkpoint,
    list_checkpoints,
    load_checkpoint,
    module_of,
    read_card,
    save_checkpoint,
    verify,
    write_card,
)
from tests.builders import make_card

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.usefixtures("one_thread")


def card(model: str = "fsrcnn_s", scales: tuple[int, ...] = (4,), recipe: str = "tuned", **more: Any) -> Card:
    """Of any scales; its facts are such that none is zero."""
    facts = {"name": checkpoint_name(model, list(scales), recipe), "scales": list(scales), "parameters": 4_086}
    facts |= {"data": {"t91": "0" * 64}, "steps": 10, "samples_seen": 160, "commit": "abc", "hardware": "test"}
    return make_card(model, recipe, **(facts | {"wall_time_s": 1.5} | more))


def test_round_trip(tmp_path: Path) -> None:
    network = create_model("fsrcnn_s", 4, skip="bicubic").eval()
    path = save_checkpoint(network.state_dict(), card(options={"skip": "bicubic"}), tmp_path)
    assert path == tmp_path / "fsrcnn_s" / "x4.tuned.safetensors"
    loaded = load_checkpoint("fsrcnn_s_x4.tuned", root=tmp_path)
    x = torch.rand(1, 1, 7, 5)
    assert not loaded.training
    assert torch.equal(loaded(x), network(x))
    found = find_checkpoint("fsrcnn_s_x4.tuned", tmp_path)
    assert found.file == path.name
    assert verify(found, tmp_path) == path
    assert [c.name for c in list_checkpoints("fsrcnn*", tmp_path)] == ["fsrcnn_s_x4.tuned"]
    assert list_checkpoints("espcn*", tmp_path) == []


def test_seeds_of_one_budget_are_one_family() -> None:
    """How many steps fit in a time is the machine's, not a choice."""

    def of(seed: int, steps: int, seconds: str, **config: Any) -> Card:
        planned = {
            "planned": [[1, 10, 5], [4, steps, steps // 2]],
            "steps": steps,
            "val_every": steps // 2,
            "seed": seed,
        }
        notes = f"validation images: a; steps follow from a budget of {seconds}, planned after step 1, {seed + 4}"
        return card(
            recipe="tuned" if seed == 0 else f"tuned-seed{seed}", seed=seed, notes=notes, config={**planned, **config}
        )

    assert of(0, 100, "60 s").family == of(1, 104, "60 s").family == of(2, 97, "60 s; x").family
    assert len({of(0, 100, "60 s").family, of(0, 100, "600 s").family, of(0, 100, "60 s", lr=0.1).family}) == 3
    longer = of(0, 100, "60 s, planned after step 1; made longer after its end by 30 s")
    assert longer.family != of(0, 100, "60 s").family
    given = [card(config={"steps": steps, "seed": 0, "planned": []}) for steps in (100, 104)]
    assert given[0].family != given[1].family


def test_multi_scale_checkpoint(tmp_path: Path) -> None:
    options = {"blocks": 1, "features": 8}
    network = create_model("mdsr_baseline", 2, **options)
    made = card("mdsr_baseline", (2, 3, 4), channels="rgb", options=options)
    assert made.name == "mdsr_baseline_x2x3x4.tuned"
    save_checkpoint(network.state_dict(), made, tmp_path)
    x = torch.rand(1, 3, 4, 4)
    assert load_checkpoint(made.name, root=tmp_path, scale=3)(x).shape[-1] == 12
    assert load_checkpoint(made.name, root=tmp_path)(x).shape[-1] == 8
    with pytest.raises(UnavailableError, match="not trained for x8"):
        module_of(made, 8)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_a_card_keeps_its_recipe(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> None:
    """TOML has no null: what is None is left out; everything else comes back equal."""

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: kept(item) for key, item in value.items() if item is not None}
        return [kept(item) for item in value if item is not None] if isinstance(value, list) else value

    root = tmp_path_factory.mktemp("zoo")
    path = save_checkpoint({"w": torch.zeros(1)}, card(config=config), root)
    assert read_card(path.with_suffix(".toml")).config == kept(config)


def test_half_weights_are_loaded_as_float32(tmp_path: Path) -> None:
    network = create_model("fsrcnn_s", 4)
    save_checkpoint(network.half().state_dict(), card(), tmp_path)
    assert {p.dtype for p in load_checkpoint("fsrcnn_s_x4.tuned", root=tmp_path).parameters()} == {torch.float32}


def test_cards_are_read_without_torch(tmp_path: Path) -> None:
    save_checkpoint({"w": torch.zeros(1)}, card(), tmp_path / "zoo")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from srbench.zoo import list_checkpoints; print(list_checkpoints()[0].name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "SRBENCH_HOME": str(tmp_path)},
        timeout=60,
    )
    assert done.stdout.strip() == "fsrcnn_s_x4.tuned", done.stderr


def test_changed_or_missing_weights_are_refused(tmp_path: Path) -> None:
    path = save_checkpoint(create_model("fsrcnn_s", 4).state_dict(), card(), tmp_path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x4\.tuned\.safetensors has sha256 .* its card says"):
        load_checkpoint("fsrcnn_s_x4.tuned", root=tmp_path)
    path.unlink()
    with pytest.raises(InputError, match="are not there"):
        load_checkpoint("fsrcnn_s_x4.tuned", root=tmp_path)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_checkpoint(create_model("espcn", 4).state_dict(), card(), tmp_path)
    with pytest.raises(InputError, match=r"does not fit FSRCNN of 14 keys: 14 missing .*; 6 unexpected"):
        load_checkpoint("fsrcnn_s_x4.tuned", root=tmp_path)


def test_unknown_checkpoint_gets_the_nearest(tmp_path: Path) -> None:
    save_checkpoint({"w": torch.zeros(1)}, card(), tmp_path)
    for name in ("fsrcnn_s_x4.comon", "fsrcn_s_x4.tuned", "fsrcnn_s_x4_common"):
        with pytest.raises(UnknownNameError, match=r"Did you mean 'fsrcnn_s_x4\.tuned'"):
            find_checkpoint(name, tmp_path)
    with pytest.raises(UnknownNameError):
        find_checkpoint("../../etc_x4.tuned", tmp_path)


def test_a_full_disk_leaves_the_old_checkpoint_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint({"w": torch.zeros(1)}, card(), tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = {path.name: path.read_bytes() for path in (tmp_path / "fsrcnn_s").iterdir()}
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint({"w": torch.ones(1)}, card(), tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "fsrcnn_s").iterdir()} == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps = 10", "steps = ", "not a readable card"),
        ("steps = 10", 'steps = "ten"', "steps = 'ten': Input should be a valid integer"),
        ("seed = 0", "sead = 0", "seed: Field required"),
        ("seed = 0", "seed = 0\nepochs = 3", "unknown key 'epochs'"),
        ('recipe = "tuned"', 'recipe = "paper"', "does not say what the card says"),
    ],
)
def test_a_broken_card_names_its_file_and_fault(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = save_checkpoint({"w": torch.zeros(1)}, card(), tmp_path).with_suffix(".toml")
    text = path.read_text()
    assert old in text
    changed = text.replace(old, new, 1)
    with contextlib.suppress(tomllib.TOMLDecodeError):
        changed = tomli_w.dumps(seal(tomllib.loads(changed)))
    path.write_text(changed)
    with pytest.raises(InputError, match=message) as caught:
        list_checkpoints(root=tmp_path)
    assert str(path) in str(caught.value)


def test_a_card_in_the_wrong_place_is_refused(tmp_path: Path) -> None:
    path = save_checkpoint({"w": torch.zeros(1)}, card(), tmp_path).with_suffix(".toml")
    moved = path.rename(path.with_name("x2.tuned.toml"))
    with pytest.raises(InputError, match=r"belongs in fsrcnn_s/x4\.tuned\.toml"):
        read_card(moved)


@pytest.mark.parametrize("recipe", ["", "../up", "a/b", "a b", ".hidden"])
def test_names_that_are_no_file_names_are_refused(recipe: str) -> None:
    with pytest.raises(ValidationError, match="no checkpoint name"):
        card(recipe=recipe)


def test_an_old_name_finds_what_took_its_place_and_says_so(tmp_path: Path) -> None:
    zoo = tmp_path
    write_card(card(recipe="new"), zoo)
    (zoo / "replaced.toml").write_text(
        '"fsrcnn_s_x4.old" = "fsrcnn_s_x4.new"\n"fsrcnn_s_x4.gone" = "fsrcnn_s_x4.gone"\n'
    )
    with pytest.warns(UserWarning, match=r"fsrcnn_s_x4\.old is no longer in the zoo, fsrcnn_s_x4\.new took its place"):
        assert find_checkpoint("fsrcnn_s_x4.old", zoo).name == "fsrcnn_s_x4.new"
    with pytest.raises(UnknownNameError):
        find_checkpoint("fsrcnn_s_x4.gone", zoo)


def test_what_took_a_place_in_our_zoo_is_there() -> None:
    names = tomllib.loads((ROOT / "zoo" / "replaced.toml").read_text(encoding="utf-8"))
    there = {found.name for found in list_checkpoints(root=ROOT / "zoo")}
    assert set(names.values()) <= there
    assert not set(names) & there


def test_the_page_has_the_command_of_every_card() -> None:
    """Under another name, so that the zoo's own checkpoint stays; an imported one has none."""
    cards = list_checkpoints(root=ROOT / "zoo")
    assert cards
    for made in cards:
        line = data._card(made)["train"]
        assert line.startswith(f"srbench train {made.model} --recipe ")
        assert line.endswith(" --name again")
