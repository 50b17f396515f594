"""``srbench train MODEL``: from images and a recipe to a checkpoint in zoo/."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli._common import Finite, data_root_option, device_option, print_json
from srbench.cli._launch import launch_options, print_where
from srbench.errors import InputError

if TYPE_CHECKING:
    from srbench.machines.cluster import Cluster
    from srbench.training.loop.options import RunOptions
    from srbench.training.zoo import RecipeRequest
    from srbench.zoo import Card


@click.command()
@click.argument("model", required=False)
@click.option("--all", "every", is_flag=True, help="Every network that each recipe serves, smallest first.")
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    default=["tuned"],
    show_default="tuned",
    help="A recipe of zoo/recipes, or a file; with --all several, in turn.",
)
@click.option("--scale", type=int, help="The upscaling factor.")
@click.option(
    "--channels", type=click.Choice(["y", "rgb"]), help="What the network works on [as published, or as it declares]."
)
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
@click.option(
    "--allow-overlap", is_flag=True, help="Train on images that show what test images show; the card says so."
)
@click.option(
    "--dirty", is_flag=True, help="Train although the package's files differ from their commit; the card says so."
)
@click.option("--skip-bad", is_flag=True, help="Leave out images that cannot be read; they are counted.")
@click.option("--threads", type=int, default=0, help="CPU threads [torch's default].")
@click.option("--save-every", type=Finite(min=0), default=60.0, show_default=True, help="Seconds between saved states.")
@click.option(
    "--cache-memory",
    type=Finite(min=0),
    metavar="GIB",
    help="Decoded images in memory, more on disk [SRBENCH_CACHE_MEMORY, else a quarter of all].",
)
@click.option(
    "--cache-disk",
    type=Finite(min=0),
    metavar="GIB",
    help="Decoded images on disk, more decoded when drawn [SRBENCH_CACHE_DISK, else half of what is free, at most 32].",
)
@click.option(
    "--track",
    "trackers",
    multiple=True,
    metavar="NAME",
    help="Tell csv, tensorboard or wandb, too, of log lines and images.",
)
@click.option("--tensorboard", is_flag=True, help="The same as --track tensorboard.")
@data_root_option
@device_option
@launch_options
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON at the end.")
def command(
    model: str | None,
    every: bool,
    recipes: tuple[str, ...],
    scale: int | None,
    channels: str | None,
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
    allow_overlap: bool,
    dirty: bool,
    skip_bad: bool,
    threads: int,
    save_every: float,
    cache_memory: float | None,
    cache_disk: float | None,
    trackers: tuple[str, ...],
    tensorboard: bool,
    data_root: str | None,
    device: str,
    cluster: Cluster | None,
    as_json: bool,
) -> None:
    """Train MODEL by a recipe and write the best weights and their card to zoo/.

    \b
    srbench train fsrcnn                                 minutes on a laptop
    srbench train espcn --recipe paper --seed 1
    srbench train fsrcnn --set skip=none --name noskip   any value of the recipe
    srbench train fsrcnn --resume                        after Ctrl-C or a crash
    srbench train fsrcnn_x4.tuned --data photos --name mine   from these weights
    srbench train srgan --recipe srgan-perpix-v2   from srresnet_x4.tuned-nearest
    srbench train edsr_baseline --budget 30m             as many steps as fit
    srbench train edsr_baseline --extend 30m             and half an hour more
    srbench train mynet.py:MyNet --scale 4               a network of your own
    srbench train --all --recipe tuned --budget 1h       the zoo and its tables
    srbench train --all --launcher submitit --jobs 16    a job a network, on SLURM
    torchrun --nproc-per-node 4 -m srbench train edsr    one run in four processes

    --all trains one network after another, each for --budget; the same command goes on where it was stopped and skips
    what is in the zoo. It ends with the leaderboard on those of set5, set14 and sample that are here. Name the recipe of
    the parents before an adversarial one: --recipe tuned --recipe srgan --recipe esrgan.
    """
    from srbench.training.loop.options import RunOptions
    from srbench.training.zoo import RecipeRequest

    _refuse_contradictions(model, every, recipes, name, overwrite, resume)
    _refuse_one_of_many(every, cluster is not None, bool(extend), bool(overwrite or budget or steps))
    keys = _both(read_changes(changes), scale=scale, channels=channels, steps=steps, data=data, seed=seed)
    requests = [RecipeRequest(recipe, keys, size, device, seed, name or "") for recipe in recipes]
    options = RunOptions(
        data_root=data_root,
        device=device,
        threads=threads,
        zoo=out,
        resume=resume,
        overwrite=overwrite,
        skip_bad=skip_bad,
        allow_overlap=allow_overlap,
        dirty=dirty,
        save_seconds=save_every,
        cache_memory=None if cache_memory is None else cache_memory * 2**30,
        cache_disk=None if cache_disk is None else cache_disk * 2**30,
        trackers=tuple(dict.fromkeys((*trackers, *(["tensorboard"] if tensorboard else [])))),
        budget=_seconds(budget, "--budget"),
        extend=_seconds(extend, "--extend"),
    )
    if model:
        _report(_train_one(model, scale, requests[0], options), as_json)
    else:
        _train_all(requests, options, cluster, as_json)


def _train_one(model: str, scale: int | None, request: RecipeRequest, options: RunOptions) -> Card:
    """A model, or what a checkpoint or a file of weights goes on from; what the user says goes before what these say."""
    from srbench.subjects.start import start_of
    from srbench.training.zoo import train_model

    start = start_of(model, scale)
    return train_model(start.model, replace(request, changes={**start.changes, **request.changes}), options)


def _both(changes: dict[str, Any], **options: Any) -> dict[str, Any]:
    """What ``--set`` and the command's options say of the recipe; InputError where one says this and the other that."""
    given = {key: value for key, value in options.items() if value is not None}
    for key in given.keys() & changes.keys():
        if given[key] != changes[key]:
            raise InputError(
                f"--{key} {given[key]} and --set {key}={changes[key]} contradict each other; expected one of them"
            )
    return given | changes


def _refuse_contradictions(
    model: str | None, every: bool, recipes: Sequence[str], name: str | None, overwrite: bool, resume: bool
) -> None:
    if every == bool(model):
        raise click.UsageError("name one MODEL, or give --all")
    if model and len(recipes) > 1:
        raise click.UsageError("one MODEL takes one --recipe; several go with --all")
    if name and len(recipes) > 1:
        raise click.UsageError("--name gives one recipe's checkpoints their name; several keep their own")
    if resume and overwrite:
        raise click.UsageError("--resume goes on with a run and --overwrite replaces it: give one of them")
    if every and overwrite:
        raise click.UsageError("--all skips what is in the zoo: to train one network again, name it with --overwrite")


def _refuse_one_of_many(every: bool, launched: bool, extend: bool, anew: bool) -> None:
    if launched and not every:
        raise click.UsageError("--launcher submitit gives each network of --all a job; one network needs none")
    if extend and (every or anew):
        raise click.UsageError(
            "--extend goes on with one run that is there: not with --all, --overwrite, --budget, --steps"
        )


def read_changes(changes: Iterable[str]) -> dict[str, Any]:
    """``key=value`` texts as recipe keys and values, read as TOML where that is possible and as text where not.

    Args:
        changes: such as ``"lr=1e-3"``, ``"skip=none"`` or, for one value of a table, ``"loss.mse=0.1"``; of two for the
            same key the later one counts.

    Raises:
        InputError: a text without a key or without ``=``.
    """
    found: dict[str, Any] = {}
    for change in changes:
        key, equals, text = (part.strip() for part in change.partition("="))
        if not equals or not key:
            raise InputError(f"--set takes key=value, not {change!r}")
        found.pop(key, None)  # the order of tables and their values matters
        found[key] = _toml_or_text(text)
    return found


def _toml_or_text(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _train_all(requests: list[RecipeRequest], options: RunOptions, cluster: Cluster | None, as_json: bool) -> None:
    from srbench.training.loop.distributed import is_main

    def report(card: Card) -> None:
        _report(card, as_json=False, err=True)

    if cluster is None:
        from srbench.training.zoo import train_zoo

        done = train_zoo(requests, options, _say, report)
    else:
        from srbench.training.jobs import train_in_jobs

        done, folders = train_in_jobs(requests, options, cluster, _say, report)
        print_where(folders)
    if as_json and is_main():
        print_json([card.model_dump(mode="json") for card in done.cards])
    elif options.zoo is None and done.cards:
        _leaderboard(done.cards, options)
    if done.failed:
        click.get_current_context().exit(1)


def _leaderboard(cards: Sequence[Card], options: RunOptions) -> None:
    """Measure the cards' checkpoints on the sets that are here, and print the leaderboard."""
    from srbench.cli.eval import command as evaluate
    from srbench.datasets.local import find_dataset
    from srbench.errors import UnavailableError

    here = []
    for name in ("set5", "set14", "sample"):
        try:
            find_dataset(name, options.data_root)
            here.append(name)
        except UnavailableError as error:
            _say(f"not measured on {name}: {error}")
    click.get_current_context().invoke(
        evaluate,
        targets=tuple(card.name for card in cards),
        datasets=",".join(here),
        data_root=options.data_root,
        device=options.device,
    )


def _report(card: Card, as_json: bool, err: bool = False) -> None:
    from srbench.training.loop.distributed import is_main

    if not is_main():
        return
    if as_json:
        print_json(card.model_dump(mode="json"))
        return
    kept = card.curve[-1] if card.config["keep"] == "last" else max(card.curve, key=lambda point: point["val_psnr"])
    lpips = f", LPIPS {kept['val_lpips']:.4f}" if "val_lpips" in kept else ""
    click.echo(
        f"{card.name}: {kept['val_psnr']:.2f} dB{lpips} on validation images "
        f"after {card.wall_time_s / 60:.1f} minutes; written to the zoo",
        err=err,
    )


def _say(text: str) -> None:
    from srbench.training.loop.distributed import is_main

    if is_main():
        click.echo(text, err=True)


def _seconds(time: str | None, option: str) -> float:
    from srbench.training.loop.budget import parse_budget

    return parse_budget(time, option) if time else 0.0
