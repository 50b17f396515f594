"""``srbench train MODEL``: from pictures and a recipe to a checkpoint in zoo/."""

from __future__ import annotations

from pathlib import Path

import click

from srbench.cli._common import data_root_option, device_option, print_json


@click.command()
@click.argument("model")
@click.option(
    "--recipe", "recipe_name", default="common", show_default=True, help="A recipe of zoo/recipes, or a file."
)
@click.option("--scale", type=int, help="The enlargement.")
@click.option("--steps", type=int, help="Optimiser steps.")
@click.option("--budget", metavar="TIME", help="Train for this time, such as 20m or 2h, instead of a number of steps.")
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
@click.option("--skip-bad", is_flag=True, help="Leave out pictures that cannot be read; they are counted.")
@click.option("--threads", type=int, default=0, help="CPU threads [torch's default].")
@click.option("--save-every", type=float, default=60.0, show_default=True, help="Seconds between saved states.")
@click.option(
    "--cache-memory", type=float, metavar="GIB", help="Decoded pictures in memory, more on disk [a quarter of all]."
)
@click.option("--tensorboard", is_flag=True, help="Write scalars and pictures for TensorBoard into the run's folder.")
@data_root_option
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON at the end.")
def command(
    model: str,
    recipe_name: str,
    scale: int | None,
    steps: int | None,
    budget: str | None,
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
    """
    import json

    from srbench.inference import pick_device
    from srbench.models import get_model
    from srbench.training.budget import parse_budget
    from srbench.training.perceptual import with_backbone
    from srbench.training.recipe import Size, load_recipe
    from srbench.training.settings import Settings
    from srbench.training.trainer import train

    get_model(model)
    small: Size = "cpu" if size == "cpu" or (size == "auto" and pick_device(device).type == "cpu") else "full"
    recipe = load_recipe(recipe_name, model, size=small)
    given = {"scale": scale, "steps": steps, "data": data, "seed": seed}
    asked = [f"{key}={json.dumps(value)}" for key, value in given.items() if value is not None]
    if data is not None and not isinstance(recipe.val, int):
        asked.append(f"val={len(recipe.val)}")
    recipe = with_backbone(load_recipe(recipe_name, model, [*asked, *changes], small))
    tag = name or recipe.name + ("" if seed is None else f"-seed{seed}")
    settings = Settings(
        name=tag,
        data_root=data_root,
        device=device,
        threads=threads,
        zoo=out,
        resume=resume,
        overwrite=overwrite,
        skip_bad=skip_bad,
        save_seconds=save_every,
        cache_memory=None if cache_memory is None else cache_memory * 2**30,
        tensorboard=tensorboard,
        budget=parse_budget(budget) if budget else 0.0,
    )
    card = train(model, recipe, settings)
    if as_json:
        print_json(card.model_dump(mode="json"))
    else:
        kept = card.curve[-1] if recipe.keep == "last" else max(card.curve, key=lambda point: point["val_psnr"])
        lpips = f", LPIPS {kept['val_lpips']:.4f}" if "val_lpips" in kept else ""
        click.echo(
            f"{card.name}: {kept['val_psnr']:.2f} dB{lpips} on held-back pictures "
            f"after {card.wall_time_s / 60:.1f} minutes; written to the zoo"
        )
