"""The training loop: one function that reads from top to bottom."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from torch import nn

from srbench.errors import InputError
from srbench.home import home
from srbench.inference import for_model
from srbench.models import Model, create_model, get_model
from srbench.models._training_form import training_form
from srbench.training.budget import Length, longer, planned, steps_within
from srbench.training.checkpoint import (
    RunState,
    load_optimiser,
    load_random,
    load_state,
    optimiser_tensors,
    random_tensors,
    save_state,
)
from srbench.training.compiled import compiled
from srbench.training.data import find_training_sets
from srbench.training.distributed import Processes
from srbench.training.gan import Game
from srbench.training.half import halved
from srbench.training.images import enlarge_margin, load_images
from srbench.training.losses import Losses, check_terms
from srbench.training.optimise import Average, clip_gradients, freeze_norms, learning_rate, make_optimiser
from srbench.training.parent import Origin, first_weights
from srbench.training.perceptual import PerceptualLoss, with_backbone
from srbench.training.progress import Progress
from srbench.training.provenance import hardware, notes, source_commit
from srbench.training.recipe import Recipe
from srbench.training.run import Clock, claim, start_or_resume, stop_on_signal
from srbench.training.settings import InterruptedRunError, Settings
from srbench.training.stages import Stages
from srbench.training.validation import Validation, split
from srbench.training.watch import Watch
from srbench.zoo import Card, checkpoint_name, list_checkpoints, save_checkpoint


def train(model_name: str, recipe: Recipe, settings: Settings | None = None) -> Card:
    """Train a network and write it to the zoo.

    Args:
        model_name: a registered model.
        recipe: what to learn from and how.
        settings: how to carry it out.

    Returns:
        the card of the checkpoint, whose weights are the average with the best validation PSNR, or the last one.

    Raises:
        SrbenchError: data, names or values that cannot be used; a loss that is no number; InterruptedRunError.
    """
    settings = settings or Settings()
    model = get_model(model_name)
    if model.interpolator:
        raise InputError(f"{model_name} is an interpolator: it has no weights to train")
    if settings.threads:
        torch.set_num_threads(settings.threads)
    processes = Processes(settings.device)
    device = processes.device
    torch.backends.cudnn.deterministic = True  # a resumed run ends in the same bits
    recipe = with_backbone(recipe)
    tag = settings.name or recipe.name
    name = checkpoint_name(model.name, [recipe.scale], tag)
    if not (settings.overwrite or settings.resume or settings.extend) and list_checkpoints(name, settings.zoo):
        raise InputError(f"the zoo has a checkpoint {name}; --overwrite replaces it, --name keeps both")
    folder = (settings.runs or home() / "runs") / name
    length = processes.agree(_length(model_name, recipe, settings, folder, processes))
    recipe = length.recipe
    check_terms(recipe.loss)
    channels: Literal["y", "rgb"] = model.channels if recipe.channels == "model" else recipe.channels
    options: dict[str, Any] = dict(recipe.options)
    if recipe.skip == "bicubic" and not model.has_skip:
        options["skip"] = "bicubic"

    torch.manual_seed(recipe.seed)
    network = create_model(model.name, recipe.scale, channels=channels, **options)
    origin = first_weights(network, model, recipe, channels, options, settings.zoo)
    network = network.to(device)
    if recipe.channels_last:
        network = network.to(memory_format=torch.channels_last)
    side = recipe.patch * (recipe.scale if model.pre_upsampled else 1)
    shape = (recipe.batch // processes.world, 1 if channels == "y" else 3, side, side)
    forward = compiled(network, recipe, shape) if recipe.compile else training_form(network)
    average = Average(network, recipe.ema)
    optimiser = make_optimiser(network.parameters(), recipe)
    learned: dict[str, Any] = {}
    if "perceptual" in recipe.loss and recipe.perceptual:
        learned["perceptual"] = PerceptualLoss(recipe.perceptual, recipe.precision).to(device)
    game: Game | None = None
    if recipe.game:
        game = Game(recipe, channels, device, processes.average, folder, processes.rank, processes.world)
        learned["adversarial"] = game.fool
    losses = Losses(recipe.loss, learned, recipe.scale)
    measured = [*losses.names, *(["g_grad"] if game else [])]

    sets = find_training_sets(recipe.data, settings.data_root)
    digests = {images.name: images.digest for images in sets}
    held_from = find_training_sets(recipe.val_data, settings.data_root) if recipe.val_data else sets
    train_paths, val_paths = split(sets, recipe.val, held_from)
    validation = Validation(val_paths, recipe.scale)
    shown = for_model(model, average.network, recipe.scale, channels, device=device)

    with (
        claim(folder, processes.main),
        Watch(folder, name, recipe.steps, settings.progress, processes.main, settings.tensorboard) as watch,
        ExitStack() as stack,
    ):
        goes_on, extend = settings.resume, bool(settings.extend)
        state = start_or_resume(folder, recipe, goes_on, settings.overwrite, extend) if processes.main else None
        processes.wait()
        if not processes.main and (goes_on or extend):
            state = load_state(folder)
        start = state.step if state else 0
        run = Progress({key: value.clone() for key, value in average.weights().items()}, measured)
        if state:
            network.load_state_dict(state.tensors["network"])
            average.network.load_state_dict(state.tensors["average"])
            load_optimiser(optimiser, state.tensors.get("optimiser", {}))
            load_random(state.tensors["random"])
            run = Progress(state.tensors["best"], measured, **state.facts["progress"])
            origin = Origin(**state.facts["origin"]) if "origin" in state.facts else origin
            if game:
                game.load(state.tensors, state.facts["game"], device)

        if settings.budget != length.budget and not settings.extend:
            plan = f"a budget of {length.budget:g} s" if length.budget else "another"
            watch.warn(f"the run keeps the {recipe.steps} steps of {plan}; --overwrite plans anew")
        watch.say(f"{name}: reading {len(train_paths)} images of {recipe.data}, {len(val_paths)} held back")
        advance = watch.counting("reading", len(train_paths))
        margin = enlarge_margin(model.pre_upsampled)
        with processes.main_first():
            images = load_images(
                train_paths,
                recipe.scale,
                recipe.patch,
                recipe.rescale,
                margin,
                settings.skip_bad,
                advance,
                settings.memory,
            )
        stages = Stages(images, recipe, channels, model.pre_upsampled, processes.rank, processes.world)
        if game and not state:
            game.draw_reference(stages.first, device)
        if not start and processes.main:
            watch.log(0, {"val_bicubic": validation.bicubic(), **validation.scores(shown, game is not None)})

        stop = stack.enter_context(stop_on_signal())  # not while images are read: there Ctrl-C ends the run at once
        clock, saved = Clock(run.seconds, start), time.monotonic()
        network.train()
        for step, (lr, hr) in enumerate(stages.batches(start, device), start):
            turn = game is None or game.generators_turn(step)
            if recipe.freeze_norm < 1:
                freeze_norms(network, recipe, step)
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(recipe, step)
            with (
                torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"),
                torch.set_grad_enabled(turn),
            ):
                sr = forward(lr)
            if game:
                game.learn(step, sr, hr)
            if turn:
                loss, terms = losses(sr, hr)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                values = processes.average(network.parameters(), torch.cat([loss.detach()[None], terms]))
                if recipe.grad_clip or game:
                    norm = clip_gradients(network.parameters(), recipe.grad_clip)
                    values = torch.cat([values, norm]) if game else values
                optimiser.step()
                average.update(step // (recipe.game.n_critic if recipe.game else 1))
                run.steps.add(step, values)

            done = step + 1
            last, logged = done == recipe.steps, done % recipe.log_every == 0
            if logged or last:
                facts: dict[str, Any] = run.collect(folder, recipe.seed)
                if game:
                    facts = game.report(done, facts, sr, lr, hr)
                    watch.warn(facts.get("collapse", ""))
                rate = clock.rate(done, recipe.batch)
                watch.log(done, {**facts, "lr": learning_rate(recipe, step), "samples_per_s": round(rate, 1)})
            if done % recipe.val_every == 0 or last:
                run.collect(folder, recipe.seed)
                scores = validation.scores(shown, game is not None) if processes.main else {}
                scores = processes.agree({**scores, "seconds": clock.seconds()})
                run.validated(done, scores, average.weights(), recipe.keep)
                watch.log(done, run.curve[-1])
                if processes.main and watch.wants_images(done, recipe.val_every):
                    watch.images(done, validation.samples(shown))
            stopped = processes.any(stop.asked, logged or last)
            due = done % recipe.val_every == 0 or last or stopped or time.monotonic() - saved > settings.save_seconds
            if due and processes.main:
                run.collect(folder, recipe.seed)
                run.seconds = clock.seconds()
                _save(
                    folder, done, model, recipe, network, average, optimiser, run, game, length.facts() | origin.facts()
                )
                saved = time.monotonic()
            if stopped and not last:
                raise InterruptedRunError(f"{name} stopped at step {done} of {recipe.steps}; go on with --resume")

    card = Card(
        name=name,
        model=model.name,
        scales=[recipe.scale],
        channels=channels,
        recipe=tag,
        options=options,
        parameters=sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad),
        data=digests,
        steps=recipe.steps,
        samples_seen=recipe.steps * recipe.batch,
        seed=recipe.seed,
        commit=source_commit(),
        hardware=hardware(device, processes.world),
        wall_time_s=round(run.seconds, 1),
        precision=recipe.precision,
        init_from=recipe.init_from or None,
        init_sha256=origin.init_sha256 or None,
        config=recipe.model_dump(mode="json"),
        curve=run.curve,
        notes="; ".join(
            [
                notes(val_paths, images.too_small, images.bad),
                *([learned["perceptual"].source] if "perceptual" in learned else []),
                *([f"step {step}: {reason}" for step, reason in game.health.events] if game else []),
                *length.notes(),
                *filter(None, [origin.warm]),
            ]
        ),
    )
    if processes.main:
        weights, card = halved(run.best, average.network, card, validation)
        save_checkpoint(weights, card, settings.zoo)
    processes.wait()
    return card


def _save(
    folder: Path,
    step: int,
    model: Model,
    recipe: Recipe,
    network: nn.Module,
    average: Average,
    optimiser: torch.optim.Optimizer,
    run: Progress,
    game: Game | None,
    plan: dict[str, Any],
) -> None:
    tensors = {
        "network": dict(network.state_dict()),
        "average": average.weights(),
        "best": run.best,
        "optimiser": optimiser_tensors(optimiser),
        "random": random_tensors(),
    }
    facts = {"model": model.name, "recipe": recipe.model_dump(mode="json"), "progress": run.facts(), **plan}
    if game:
        game.collect()  # nothing is saved after a loss that is no number
        tensors.update(game.tensors())
        facts["game"] = game.facts()
    save_state(folder, RunState(step, tensors, facts))


def _length(model_name: str, recipe: Recipe, settings: Settings, folder: Path, processes: Processes) -> Length:
    if settings.extend:
        return longer(recipe, folder, settings.extend)
    kept = planned(recipe, folder) if settings.resume and not settings.overwrite else None
    if kept and (settings.budget or kept.timed):
        return kept
    if not settings.budget:
        return Length(recipe)
    with TemporaryDirectory() as temporary:
        place = Path(processes.agree(temporary))  # the first process writes the log that all read

        def trial(short: Recipe) -> tuple[Path, float]:
            alone = replace(settings, name="trial", zoo=place, runs=place, resume=False, progress=False, budget=0.0)
            card = train(model_name, short.model_copy(update={"init_from": "", "warm_from": ""}), alone)
            return place / card.name, card.wall_time_s

        found = Length(steps_within(recipe, settings.budget, trial), settings.budget)
        processes.wait()
        return found
