"""Every network by every recipe that serves it: the zoo trained in one go, and again where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from srbench.errors import InputError, SrbenchError, UnavailableError, UnknownNameError
from srbench.inference import pick_device
from srbench.models import MODELS, Model, get_model
from srbench.names import check_name
from srbench.subjects.start import Trainable
from srbench.training.loop.options import InterruptedRunError, RunOptions
from srbench.training.loop.own import Own, describe, is_own
from srbench.training.loop.trainer import train
from srbench.training.losses.perceptual import with_backbone
from srbench.training.recipe.load import list_recipes, load_recipe
from srbench.training.recipe.schema import Recipe, Size
from srbench.zoo import Card, checkpoint_name, list_checkpoints

_SIZES = ("auto", "full", "cpu")


@dataclass(frozen=True)
class RecipeRequest:
    """What a user says of a recipe, which becomes another for each network.

    Attributes:
        recipe: a recipe of zoo/recipes or the path of a TOML file.
        changes: recipe keys and their values, which go before those of the file; see ``load_recipe``.
        size: ``full``, ``cpu``, or ``auto``, which goes by the device.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        seed: goes before the recipe's and becomes a part of the name; None leaves both as they are.
        name: the recipe part of checkpoints' names; "" for the recipe's own name and the seed, where one is given.

    Raises:
        InputError: a name that cannot be a part of file names.
        UnknownNameError: no such size.
    """

    recipe: str = "tuned"
    changes: Mapping[str, Any] = field(default_factory=dict)
    size: str = "auto"
    device: str = "auto"
    seed: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if self.name:
            check_name("recipe", self.name)
        if self.size not in _SIZES:
            raise UnknownNameError("size", self.size, _SIZES, "train")

    def resolve(self, model: str) -> tuple[Recipe, str]:
        """The recipe of one network, and the recipe part of its checkpoint's name.

        Raises:
            UnknownNameError: no such recipe or key.
            InputError: a value that cannot be used.
        """
        on_cpu = self.size == "cpu" or (self.size == "auto" and pick_device(self.device).type == "cpu")
        size: Size = "cpu" if on_cpu else "full"
        changes = {**({} if self.seed is None else {"seed": self.seed}), **self.changes}
        if changes.get("data_lr", "none") not in ("", "none"):
            changes = {"rescale": [], **changes}  # LR files have no copies of other sizes
        if "data" in changes and "val" not in changes:
            val = load_recipe(self.recipe, model, size=size).val
            if not isinstance(val, int):  # names of images that other data do not have
                changes = {"val": len(val), **changes}
        recipe = with_backbone(load_recipe(self.recipe, model, changes, size))
        seed = "" if self.seed is None else f"-seed{self.seed}"
        return recipe, self.name or recipe.name + seed


def train_model(model: Trainable, request: RecipeRequest, options: RunOptions) -> Card:
    """One network by one recipe; raises as ``train``, and as ``describe`` for a network of one's own."""
    _refuse_two_lengths(request, options)
    if isinstance(model, str) and not is_own(model):
        model = get_model(model)
    if not isinstance(model, Model):
        return _train_own(model, request, options)
    recipe, tag = request.resolve(model.name)
    return train(model, recipe, replace(options, name=tag))


def _refuse_two_lengths(request: RecipeRequest, options: RunOptions) -> None:
    if options.budget and "steps" in request.changes:
        raise InputError(
            f"steps = {request.changes['steps']} and a budget of {options.budget:g} s both say how long a run is: give one"
        )


# What a recipe of ours says of networks of ours and not of others: these are trained as they are.
_AS_IT_IS = {"skip": "none", "channels_last": False}


def _train_own(what: Own, request: RecipeRequest, options: RunOptions) -> Card:
    given = dict(request.changes)
    if given.get("skip", "none") != "none":
        raise InputError(
            f"skip = {given['skip']!r} is for registered networks; one's own is trained as it is, and may add it"
        )
    arguments = {key.partition(".")[2]: value for key, value in given.items() if key.startswith("options.")}
    channels = given.get("channels")
    model = describe(
        what, given.get("scale"), None if channels == "model" else channels, {**given.get("options", {}), **arguments}
    )
    request = replace(request, changes={**_AS_IT_IS, "scale": model.scales[0], **given})
    recipe, tag = request.resolve(model.name)
    return train(replace(model, options=recipe.options), recipe, replace(options, name=tag))


@dataclass(frozen=True)
class ZooOutcome:
    """What became of a zoo's training.

    Attributes:
        cards: of the checkpoints that are there now, in the order of training.
        failed: names of those that are not.
    """

    cards: tuple[Card, ...]
    failed: tuple[str, ...]


def train_zoo(
    requests: Sequence[RecipeRequest],
    options: RunOptions,
    say: Callable[[str], None] = lambda _: None,
    trained: Callable[[Card], None] = lambda _: None,
) -> ZooOutcome:
    """Every network of every recipe, one after another; what is in the zoo is skipped, and a child of what failed fails.

    Args:
        requests: the recipes in turn; that of the parents before an adversarial one.
        options: of every run, which goes on where it was stopped.
        say: told what is skipped and what failed.
        trained: given each new card.

    Raises:
        UnknownNameError: a recipe that serves no network.
        InterruptedRunError: the user stopped a run; the same call goes on.
    """
    for request in requests:
        _refuse_two_lengths(request, options)
    cards: list[Card] = []
    failed: list[str] = []
    for task in zoo_tasks(requests):
        if found := task.there(options, say):
            cards += found
            continue
        try:
            if task.parent in failed:
                raise UnavailableError("no_weights", f"its parent {task.parent} failed")
            cards.append(train_model(task.model, task.request, replace(options, resume=True)))
        except InterruptedRunError as error:
            raise InterruptedRunError(f"{str(error).partition(';')[0]}; the same command goes on") from None
        except SrbenchError as error:
            failed.append(task.name)
            say(f"{task.model} failed: {' '.join(str(error).split())}")
        else:
            trained(cards[-1])
    return ZooOutcome(tuple(cards), tuple(failed))


@dataclass(frozen=True)
class ZooTask:
    """One network by one recipe; ``parent`` is the checkpoint that it starts from, if any."""

    model: str
    request: RecipeRequest
    name: str
    parent: str

    def there(self, options: RunOptions, say: Callable[[str], None]) -> list[Card]:
        """Its card where the zoo has it already, which is said; else nothing."""
        found = list_checkpoints(self.name, options.zoo)
        if found:
            say(f"{self.name} is in the zoo")
        return found


def zoo_tasks(requests: Sequence[RecipeRequest]) -> Iterator[ZooTask]:
    """Every network of every recipe, in the order of training; each recipe is resolved when it is reached.

    Raises:
        UnknownNameError: a recipe that serves no network.
    """
    for request, model in [(one, model) for one in requests for model in served(one)]:
        recipe, tag = request.resolve(model)
        yield ZooTask(model, request, checkpoint_name(model, [recipe.scale], tag), recipe.init_from)


def served(request: RecipeRequest) -> list[str]:
    """The networks that a recipe is for, smallest first.

    Networks known for adversarial training are the generators of others: they wait for an adversarial recipe, which the
    others do without, and for one whose parent has as many weights. A network of several scales at once has no run of one.

    Raises:
        UnknownNameError: a recipe that serves no network.
        InputError: a scale that no network has.
    """
    scale = request.changes.get("scale") or 4
    fitting = []
    for model in _buildable(scale):
        if not request.recipe.endswith(".toml") and request.recipe not in list_recipes(model.name):
            continue
        recipe = request.resolve(model.name)[0]
        if ("gan" in model.name) == bool(recipe.discriminator) and _has_parent(model, scale, recipe.init_from):
            fitting.append((_size(model, scale), model.name))
    if not fitting and not list(_buildable(scale)):
        scales = sorted({s for model in MODELS if not model.interpolator for s in (*model.scales, *model.further)})
        raise InputError(f"no network can be built at x{scale}; expected {', '.join(f'x{s}' for s in scales)}")
    if not fitting:
        raise UnknownNameError("recipe", request.recipe, list_recipes("*"), "zoo/recipes for some network")
    return [name for _, name in sorted(fitting)]


def _buildable(scale: int) -> Iterator[Model]:
    single = (model for model in MODELS if not (model.interpolator or model.multi_scale))
    return (model for model in single if scale in (*model.scales, *model.further))


def _size(model: Model, scale: int) -> int:
    """Parameters at a scale; at one of which nothing was published those of another, which order networks as well."""
    return model.parameters.get(scale, max(model.parameters.values()))


def _has_parent(model: Model, scale: int, parent: str) -> bool:
    """Whether the checkpoint ``parent``, if any, is of a network with as many weights; an unknown one fails when it is sought."""
    found = MODELS.get(name) if (name := parent.rpartition("_x")[0]) in MODELS else None
    return found is None or _size(found, scale) == _size(model, scale)
