"""zoo/: trained weights and their cards, ``<model>/x4.<recipe>.safetensors`` beside ``<model>/x4.<recipe>.toml``.

A card says all that is known about a checkpoint and can be read without torch. It holds the weights' sha256, which is
checked whenever they are loaded. Weights from elsewhere (``.pth``, ``.safetensors``) have no card: ``load_weights``.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from srbench import __version__
from srbench.errors import InputError, SrbenchError, UnavailableError, UnknownNameError
from srbench.files import listed, sha256, write_bytes
from srbench.home import home
from srbench.names import PATTERN
from srbench.records import parse, read_each, read_toml, unseal, write_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

NOT_STATED = "not stated"
"""What is said of imported weights where nobody has said it."""
# What a card says of the time that its steps followed from, as training writes it.
_BUDGET = re.compile(r"budget of ([\d.e+]+) s")
_LONGER = re.compile(r"made longer after its end by [^;]+")
_NAME = re.compile(rf"(?P<model>[a-z0-9][a-z0-9_-]*)_(?P<scales>x\d+(?:x\d+)*)\.(?P<recipe>{PATTERN})")


class Imported(BaseModel):
    """Where the weights of a checkpoint come from that srbench did not train.

    Attributes:
        file: the name of the file that was read.
        sha256: of that file.
        layout: whose keys it had; empty for ours.
        url: where it is to be had; empty where that was not said, as the following ones.
        citation: of the paper or project.
        licence: of the weights.
        recipe: how they were trained.
        trained_on: the images that they were trained on.
        doubts: signs that they are something else than what they were taken for, which stand with every number.
        report: what they were taken for, why, and what was done to them, a line each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    file: str
    sha256: str
    layout: str = ""
    url: str = ""
    citation: str = ""
    licence: str = ""
    recipe: str = ""
    trained_on: str = ""
    doubts: list[str] = []
    report: list[str] = []


class Card(BaseModel):
    """What is known about a checkpoint; one TOML file, written by a machine.

    Attributes:
        name: ``<model>_x<scale>.<recipe>``, such as ``fsrcnn_x4.tuned`` or ``mdsr_x2x3x4.tuned``.
        options: what ``create_model`` was given besides the scale and the channels, such as ``{"skip": "bicubic"}``.
        source: ``mynet.py:MyNet`` and the like, for a network that no registry knows; nothing of it is imported.
        file: the weights' file name, filled in by ``save_checkpoint``.
        sha256: that of the weights, filled in by ``save_checkpoint``.
        data: training dataset → the digest of its files; of imported weights those of the stated sets that the catalog knows.
        config: the complete flat recipe.
        curve: validation points, such as ``{"step": 1000, "loss": 0.02, "val_psnr": 30.1}``.
        weights: type of the stored floats, ``float16`` or ``float32``; loading gives float32.
        half_change: change of the mean PSNR on validation images by storing float16, dB; None if it was not measured.
        val_each: PSNR (dB) of the stored weights on each validation image.
        created: UTC, ISO 8601.
        init_from: the checkpoint whose weights training started from.
        overlaps: training or validation image and the test image that it shows, where that was allowed.
        left_out: ``<set>/<image>`` of what was left out because it shows what a test image shows.
        init_sha256: the sha256 that those weights had, since a later run may have replaced them under the same name.
        untold: training data, its own or those of the weights that it started from, that cannot be compared with test images.
        imported: where weights come from that srbench did not train; its steps, seed and seconds are 0 then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: str
    model: str
    scales: list[int] = Field(min_length=1)
    channels: Literal["y", "rgb"]
    recipe: str
    options: dict[str, Any] = {}
    source: str | None = None
    file: str = ""
    sha256: str = ""
    parameters: int = Field(ge=0)
    data: dict[str, str]
    steps: int = Field(ge=0)
    samples_seen: int = Field(ge=0)
    seed: int
    commit: str
    hardware: str
    wall_time_s: float = Field(ge=0)
    precision: str
    weights: Literal["float32", "float16"] = "float32"
    half_change: float | None = None
    val_each: list[float] = []
    srbench_version: str = __version__
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    init_from: str | None = None
    init_sha256: str | None = None
    overlaps: list[str] = []
    left_out: list[str] = []
    untold: list[str] = []
    imported: Imported | None = None
    notes: str = ""
    config: dict[str, Any] = {}
    curve: list[dict[str, Any]] = []

    @model_validator(mode="after")
    def _name_is_its_parts(self) -> Card:
        expected = checkpoint_name(self.model, self.scales, self.recipe)
        if self.name != expected:
            raise ValueError(f"name {self.name!r} does not say what the card says, which is {expected!r}")
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no checkpoint name such as 'fsrcnn_x4.tuned'")
        return self

    @property
    def base_recipe(self) -> str:
        """The recipe's name without the seed: ``common`` of ``common-seed1``, where 1 is the seed."""
        if self.imported is not None:
            return self.recipe
        return self.recipe.removesuffix(f"-seed{self.seed}")

    @property
    def trained_by(self) -> str:
        """The recipe that trained it, whatever the checkpoint is called: ``tuned`` of ``tuned-nearest``."""
        return str(self.config.get("name") or self.base_recipe)

    @property
    def trained_on(self) -> str:
        """The sets that it was trained on, joined by ``+``; of imported weights what was stated, which may be nothing."""
        return self.imported.trained_on if self.imported is not None else "+".join(self.data)

    @property
    def family(self) -> str:
        """Equal for trainings of one network by one recipe, in all its keys, that differ in the seed alone.

        Where the steps followed from a time it is the time that must be equal: a machine's pace is no choice.
        """
        facts: dict[str, Any] = {**self.config, "seed": None}
        if facts.get("planned"):
            facts |= {"steps": None, "val_every": None, "planned": [self.budget_s, *_LONGER.findall(self.notes)]}
        recipe = json.dumps(facts, sort_keys=True, default=str)
        digest = hashlib.sha256(recipe.encode()).hexdigest()[:8]
        return f"{checkpoint_name(self.model, self.scales, self.base_recipe)} {digest}"

    @property
    def budget_s(self) -> float | None:
        """Seconds that its steps followed from, before it was made longer; None where they were given."""
        found = _BUDGET.search(self.notes)
        return float(found[1]) if found else None

    @property
    def adversarial(self) -> bool:
        """Whether a discriminator took part in its training."""
        return "adversarial" in self.config.get("loss", {})

    @property
    def stem(self) -> str:
        """Path of the weights and the card within zoo/, without suffix."""
        return f"{self.model}/{_scales(self.scales)}.{self.recipe}"


def checkpoint_name(model: str, scales: list[int], recipe: str) -> str:
    """The one name of a checkpoint.

    >>> checkpoint_name("mdsr", [2, 3, 4], "tuned")
    'mdsr_x2x3x4.tuned'
    """
    return f"{model}_{_scales(scales)}.{recipe}"


def _scales(scales: list[int]) -> str:
    return "".join(f"x{scale}" for scale in scales)


def zoo_root() -> Path:
    """The folder of the checkpoints; it need not exist."""
    return home() / "zoo"


def list_checkpoints(
    pattern: str = "*", root: Path | str | None = None, broken: list[SrbenchError] | None = None
) -> list[Card]:
    """Cards whose name matches a shell pattern, by name.

    Args:
        pattern: such as ``"*_x4.*"``.
        root: another zoo folder.
        broken: takes what is wrong with each broken card, which is then left out.

    Raises:
        InputError: names the first broken card, where ``broken`` is not given.
    """
    folder = Path(root) if root is not None else zoo_root()
    paths = [path for path in listed(folder, "*/x*.toml") if path.parent.name not in ("recipes", "published")]
    cards = read_each(paths, read_card, broken)
    return sorted((card for card in cards if fnmatch.fnmatch(card.name, pattern)), key=lambda card: card.name)


def find_checkpoint(name: str, root: Path | str | None = None) -> Card:
    """The card called ``name``, or, with a warning, of what took the place of a checkpoint that is no longer there.

    Raises:
        UnknownNameError: no such checkpoint, with the nearest name.
        InputError: a broken card.
    """
    folder = Path(root) if root is not None else zoo_root()
    path = _path_of(name, folder)
    if not path.is_file() and (now := _replaced(folder).get(name)) and _path_of(now, folder).is_file():
        warnings.warn(f"{name} is no longer in the zoo, {now} took its place: its figures are others", stacklevel=2)
        path = _path_of(now, folder)
    if not path.is_file():
        raise UnknownNameError("checkpoint", name, (card.name for card in list_checkpoints(root=root)), str(folder))
    return read_card(path)


def _path_of(name: str, folder: Path) -> Path:
    """Where the card of that name lies; the zoo's folder for what is no name."""
    found = _NAME.fullmatch(name)
    return folder / found["model"] / f"{found['scales']}.{found['recipe']}.toml" if found else folder


def _replaced(folder: Path) -> dict[str, str]:
    """What took the place of checkpoints that were in this zoo, by their names: ``replaced.toml``."""
    path = folder / "replaced.toml"
    if not path.is_file():
        return {}
    return {str(old): str(new) for old, new in read_toml(path, "a table of names").items()}


def read_card(path: Path | str) -> Card:
    """The card in a TOML file whose path says the same model, scales and recipe; raises InputError."""
    path = Path(path)
    card = parse(Card, unseal(read_toml(path, "a readable card"), path), str(path))
    if path.with_suffix("").parts[-2:] != tuple(card.stem.split("/")):
        raise InputError(f"{path} holds the card of {card.name}, which belongs in {card.stem}.toml")
    return card


def verify(card: Card, root: Path | str | None = None) -> Path:
    """The path of a card's weights, once they are there and have its sha256; raises InputError."""
    path = (Path(root) if root is not None else zoo_root()) / f"{card.stem}.safetensors"
    if not path.is_file():
        raise InputError(f"{card.name}: its weights {path} are not there")
    digest = sha256(path)
    if digest != card.sha256:
        raise InputError(f"{card.name}: {path} has sha256 {digest}, its card says {card.sha256}")
    return path


def save_checkpoint(state_dict: Mapping[str, Tensor], card: Card, root: Path | str | None = None) -> Path:
    """Write weights and card, each whole or not at all; the card last, with file and sha256 filled in.

    Returns:
        the path of the weights.
    """
    from safetensors.torch import save

    from srbench.weights import apart

    folder = Path(root) if root is not None else zoo_root()
    path = folder / f"{card.stem}.safetensors"
    payload = save(apart(state_dict))
    card = card.model_copy(update={"file": path.name, "sha256": hashlib.sha256(payload).hexdigest()})
    write_bytes(path, payload)
    write_card(card, folder)
    return path


def write_card(card: Card, root: Path | str | None = None) -> Path:
    """Write a card alone, with its checksum; the path of it."""
    path = (Path(root) if root is not None else zoo_root()) / f"{card.stem}.toml"
    write_toml(path, _without_none(card.model_dump()))
    return path


def _without_none(value: Any) -> Any:
    """TOML has no null: an entry that is None is left out."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value if item is not None]
    return value


def module_of(card: Card, scale: int | None = None) -> nn.Module:
    """The card's network, freshly initialised; of a multi-scale network, set to ``scale`` (its first by default).

    Raises:
        UnavailableError: ``unsupported_scale``; ``unavailable`` for a network that no registry knows, as a card that made
            srbench import what it names would run a stranger's code.
    """
    from srbench.models import create_model

    if card.source is not None:
        where = f"--weights {card.model}/{card.file} of the zoo"
        raise UnavailableError("unavailable", f"{card.name} is a network of {card.source}: name that, with {where}")

    scale = card.scales[0] if scale is None else scale
    if scale not in card.scales:
        raise UnavailableError("unsupported_scale", f"{card.name} was not trained for x{scale}")
    return create_model(card.model, scale, channels=card.channels, **card.options)


def load_checkpoint(
    name: str, device: str = "cpu", root: Path | str | None = None, scale: int | None = None, fused: bool = False
) -> nn.Module:
    """A trained network in eval mode, its weights verified against the card's sha256 and loaded strictly, as float32.

    Args:
        name: such as ``fsrcnn_x4.tuned``.
        device: where to.
        root: another zoo folder.
        scale: the scale to set a multi-scale network to.
        fused: the faster form that computes the same (``srbench.models._fused``); its keys are not the network's.

    Raises:
        UnknownNameError: no such checkpoint.
        InputError: weights missing, changed or not of this network.
    """
    card = find_checkpoint(name, root)
    path = verify(card, root)
    module = module_of(card, scale)
    load_weights(module, path)
    if fused:
        from srbench.models._fused import fuse

        module = fuse(module)
    return module.to(device).eval()


def load_weights(module: nn.Module, path: Path | str) -> None:
    """Load weights of any origin into ``module``, strictly, as float32.

    ``.safetensors`` and ``.pth`` (read without running anything in it; ``params_ema``, ``params`` and ``state_dict``
    unwrapped). Raises InputError where the file is no such thing or does not fit, with the keys that differ.
    """
    from srbench.weights import fit, read_weights

    fit(module, read_weights(path), Path(path))


def read_tensors(card: Card, zoo: Path | None = None) -> Mapping[str, Tensor]:
    """The tensors of a checkpoint, verified against its card, as they are stored; raises as :func:`verify`."""
    from srbench.weights import read_weights

    return read_weights(verify(card, zoo))
