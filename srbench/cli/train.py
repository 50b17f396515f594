"""``srbench train MODEL``: from images and a recipe to a checkpoint in zoo/."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli._common import data_root_option, device_option, print_json

if TYPE_CHECKING:
    from srbench.models import Model
    from srbench.training.recipe import Recipe
    from srbench.training.settings import Settings
    from srbench.zoo import Card


@click.command()
@click.argument("model", required=False)
@click.option("--all", "every", is_flag=True, help="Every network that each recipe serves, smallest first.")
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    default=["common"],
    show_default="common",
    help="A recipe of zoo/recipes, or a file; with --all several, in turn.",
)
@click.option("--scale", type=int, help="The enlargement.")
@click.option("--steps", type=int, help="Optimiser steps.")
@click.option("--budget", metavar="TIME", help="Time a network, such as 20m or 2h, instead of a number of steps.")
@click.option(
    "--extend", metavar="TIME", help="Go on with a run that has ended: its schedule becomes that much longer."
)
@click.option(
    "--size",
    type=click.Choice(["auto", "full", "cpu"]),
    default="auto",
    show_default=True,
    help="The recipe's full size, or the patch, batch and steps that a CPU can bear; auto goes by the device.",
)
@click.option("--data", help="Training sets or folders, joined with +; a list in val then becomes a number.")
@click.option("--seed", type=int, help="Of initial weights and crops; it becomes part of the name.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change any value of the recipe.")
@click.option("--name", help="The recipe part of the checkpoint's name, instead of the recipe's own.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Zoo folder for the checkpoint [zoo/].")
@click.option("--resume", is_flag=True, help="Go on from the saved state; start where there is none.")
@click.option("--overwrite", is_flag=True, help="Replace a run and a checkpoint of the same name.")
@click.option("--skip-bad", is_flag=True, help="Leave out images that cannot be read; they are counted.")
@click.option("--threads", type=int, default=0, help="CPU threads [torch's default].")
@click.option("--save-every", type=float, default=60.0, show_default=True, help="Seconds between saved states.")
@click.option(
    "--cache-memory", type=float, metavar="GIB", help="Decoded images in memory, more on disk [a quarter of all]."
)
@click.option("--tensorboard", is_flag=True, help="Write scalars and images for TensorBoard into the run's folder.")
@data_root_option
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON at the end.")
def command(
    model: str | None,
    every: bool,
    recipes: tuple[str, ...],
    scale: int | None,
    steps: int | None,
    budget: str | None,
    extend: str | None,
    size: str,
    data: str | None,
    seed: int | None,
    changes: tuple[str, ...],
    name: str | None,
    out: Path | None,
    resume: bool,
    overwrite: bool,
    skip_bad: bool,
    threads: int,
    save_every: float,
    cache_memory: float | None,
    tensorboard: bool,
    data_root: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Train MODEL by a recipe and write the best weights and their card to zoo/.

    \b
    srbench train fsrcnn                                 minutes on a laptop
    srbench train espcn --recipe paper --seed 1
    srbench train fsrcnn --set skip=none --name noskip   any value of the recipe
    srbench train fsrcnn --resume                        after Ctrl-C or a crash
    srbench train srgan --recipe srgan-perpix            starts from srresnet_x4.common
    srbench train edsr_baseline --budget 30m             as many steps as fit
    srbench train edsr_baseline --extend 30m             and half an hour more
    srbench train --all --recipe common --budget 1h      the whole zoo, then the leaderboard
    torchrun --nproc-per-node 4 -m srbench train edsr    one run in four processes

    --all trains one network after another, each for --budget; the same command goes on where it was stopped and skips
    what is in the zoo. It ends with the leaderboard on those of set5, set14 and sample that are here. Name the recipe of
    the parents before an adversarial one: --recipe common --recipe srgan --recipe esrgan.
    """
    from srbench.training.settings import Settings

    if every == bool(model):
        raise click.UsageError("name one MODEL, or give --all")
    if model and len(recipes) > 1:
        raise click.UsageError("one MODEL takes one --recipe; several go with --all")
    if name and len(recipes) > 1:
        raise click.UsageError("--name gives one recipe's checkpoints their name; several keep their own")
    if every and overwrite:
        raise click.UsageError("--all skips what is in the zoo: to train one network again, name it with --overwrite")
    if extend and (every or overwrite or budget or steps):
        raise click.UsageError(
            "--extend goes on with one run that is there: not with --all, --overwrite, --budget, --steps"
        )
    asked = [Asked(recipe, scale, steps, data, seed, changes, size, device, name) for recipe in recipes]
    settings = Settings(
        data_root=data_root,
        device=device,
        threads=threads,
        zoo=out,
        resume=resume or every,
        overwrite=overwrite,
        skip_bad=skip_bad,
        save_seconds=save_every,
        cache_memory=None if cache_memory is None else cache_memory * 2**30,
        tensorboard=tensorboard,
        budget=_seconds(budget, "--budget"),
        extend=_seconds(extend, "--extend"),
    )
    if model:
        _report(_train_one(model, asked[0], settings), as_json)
    else:
        _train_all(asked, settings, as_json)


@dataclass(frozen=True)
class Asked:
    """What the options say of the recipe, which becomes another for each network."""

    recipe: str
    scale: int | None
    steps: int | None
    data: str | None
    seed: int | None
    changes: tuple[str, ...]
    size: str
    device: str
    name: str | None

    def resolve(self, model: str) -> tuple[Recipe, str]:
        """The recipe of one network, and the recipe part of its checkpoint's name."""
        from srbench.inference import pick_device
        from srbench.training.perceptual import with_backbone
        from srbench.training.recipe import Size, load_recipe

        small: Size = (
            "cpu" if self.size == "cpu" or (self.size == "auto" and pick_device(self.device).type == "cpu") else "full"
        )
        given = {"scale": self.scale, "steps": self.steps, "data": self.data, "seed": self.seed}
        asked = [f"{key}={json.dumps(value)}" for key, value in given.items() if value is not None]
        if self.data is not None and not isinstance(val := load_recipe(self.recipe, model, size=small).val, int):
            asked.append(f"val={len(val)}")
        recipe = with_backbone(load_recipe(self.recipe, model, [*asked, *self.changes], small))
        return recipe, self.name or recipe.name + ("" if self.seed is None else f"-seed{self.seed}")


def _train_one(model: str, asked: Asked, settings: Settings) -> Card:
    from srbench.models import get_model
    from srbench.training.trainer import train

    get_model(model)
    recipe, tag = asked.resolve(model)
    return train(model, recipe, replace(settings, name=tag))


def _train_all(wanted: list[Asked], settings: Settings, as_json: bool) -> None:
    from srbench.errors import SrbenchError, UnavailableError
    from srbench.training.distributed import is_main
    from srbench.training.settings import InterruptedRunError
    from srbench.zoo import checkpoint_name, list_checkpoints

    cards: list[Card] = []
    failed: set[str] = set()
    for asked, model in [(recipe, model) for recipe in wanted for model in _served(recipe)]:
        resolved, tag = asked.resolve(model)
        name = checkpoint_name(model, [resolved.scale], tag)
        try:
            if found := list_checkpoints(name, settings.zoo):
                cards += found
                _say(f"{name} is in the zoo")
                continue
            if resolved.init_from in failed:
                raise UnavailableError("no_weights", f"its parent {resolved.init_from} failed")
            cards.append(_train_one(model, asked, settings))
        except InterruptedRunError as error:
            raise InterruptedRunError(f"{str(error).partition(';')[0]}; the same command goes on") from None
        except SrbenchError as error:
            failed.add(name)
            _say(f"{model} failed: {' '.join(str(error).split())}")
            continue
        _report(cards[-1], as_json=False, err=True)
    if as_json and is_main():
        print_json([card.model_dump(mode="json") for card in cards])
    elif settings.zoo is None and cards:
        _leaderboard(cards, settings)
    if failed:
        click.get_current_context().exit(1)


def _served(asked: Asked) -> list[str]:
    """The networks that a recipe is for, smallest first.

    Networks known for adversarial training are the generators of others: they wait for an adversarial recipe, which the
    others do without, and for one whose parent has as many weights. A network of several scales at once has no run of one.
    """
    from srbench.errors import UnknownNameError
    from srbench.models import MODELS
    from srbench.training.recipe import list_recipes

    fitting = []
    for model in MODELS:
        scale = asked.scale or 4
        if model.interpolator or model.multi_scale or scale not in model.scales:
            continue
        if not asked.recipe.endswith(".toml") and asked.recipe not in list_recipes(model.name):
            continue
        recipe = asked.resolve(model.name)[0]
        if ("gan" in model.name) == bool(recipe.game) and _has_parent(model, scale, recipe.init_from):
            fitting.append((model.parameters[scale], model.name))
    if not fitting:
        raise UnknownNameError("recipe", asked.recipe, list_recipes("*"), "zoo/recipes for some network")
    return [name for _, name in sorted(fitting)]


def _has_parent(model: Model, scale: int, parent: str) -> bool:
    """Whether the checkpoint ``parent``, if any, is of a network with as many weights; an unknown one fails when it is sought."""
    from srbench.models import MODELS

    found = MODELS.get(name) if (name := parent.rpartition("_x")[0]) in MODELS else None
    return found is None or found.parameters.get(scale) == model.parameters[scale]


def _leaderboard(cards: list[Card], settings: Settings) -> None:
    """Measure the cards' checkpoints on the sets that are here, and print the leaderboard."""
    from srbench.cli.eval import command as evaluate
    from srbench.datasets.local import find_dataset
    from srbench.errors import UnavailableError

    here = []
    for name in ("set5", "set14", "sample"):
        try:
            find_dataset(name, settings.data_root)
            here.append(name)
        except UnavailableError as error:
            _say(f"not measured on {name}: {error}")
    click.get_current_context().invoke(
        evaluate,
        targets=tuple(card.name for card in cards),
        datasets=",".join(here),
        data_root=settings.data_root,
        device=settings.device,
    )


def _report(card: Card, as_json: bool, err: bool = False) -> None:
    from srbench.training.distributed import is_main

    if not is_main():
        return
    if as_json:
        print_json(card.model_dump(mode="json"))
        return
    last = card.config["keep"] == "last"
    kept = card.curve[-1] if last else max(card.curve, key=lambda point: point["val_psnr"])
    lpips = f", LPIPS {kept['val_lpips']:.4f}" if "val_lpips" in kept else ""
    click.echo(
        f"{card.name}: {kept['val_psnr']:.2f} dB{lpips} on held-back images "
        f"after {card.wall_time_s / 60:.1f} minutes; written to the zoo",
        err=err,
    )


def _say(text: str) -> None:
    from srbench.training.distributed import is_main

    if is_main():
        click.echo(text, err=True)


def _seconds(time: str | None, option: str) -> float:
    from srbench.training.budget import parse_budget

    return parse_budget(time, option) if time else 0.0
