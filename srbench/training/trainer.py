"""The training loop: one function that reads from top to bottom."""

from __future__ import annotations

import copy
import math
import os
import platform
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from srbench.datasets.local import find_datasets
from srbench.errors import InputError, SrbenchError
from srbench.home import home
from srbench.inference import for_model, pick_device
from srbench.models import Model, create_model, get_model
from srbench.training.checkpoint import (
    RunState,
    load_optimiser,
    load_random,
    optimiser_tensors,
    random_tensors,
    save_state,
)
from srbench.training.losses import Losses
from srbench.training.optimise import Average, learning_rate, make_optimiser
from srbench.training.recipe import Recipe
from srbench.training.run import Clock, Watch, start_or_resume, stop_on_signal
from srbench.training.sampler import Sampler, enlarge_margin, load_pictures
from srbench.training.validation import Validation, split
from srbench.zoo import Card, checkpoint_name, list_checkpoints, save_checkpoint


@dataclass(frozen=True)
class Settings:
    """How a run is carried out; none of it changes what is learned, but ``threads`` changes the last bits.

    Attributes:
        name: the checkpoint's recipe part; the recipe's name by default.
        data_root: folder with the datasets.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads, 0 for torch's default.
        zoo: folder that takes the checkpoint; zoo/ by default.
        resume: go on from the saved state, if there is one.
        overwrite: replace a run and a checkpoint of the same name.
        skip_bad: leave out pictures that cannot be read.
        save_seconds: time between saved states.
        progress: show a bar.
    """

    name: str = ""
    data_root: str | None = None
    device: str = "auto"
    threads: int = 0
    zoo: Path | None = None
    resume: bool = False
    overwrite: bool = False
    skip_bad: bool = False
    save_seconds: float = 60.0
    progress: bool = True


class InterruptedRunError(SrbenchError):
    """The user stopped a run; its state is saved."""


def train(model_name: str, recipe: Recipe, settings: Settings | None = None) -> Card:
    """Train a network and write it to the zoo.

    Args:
        model_name: a registered model.
        recipe: what to learn from and how.
        settings: how to carry it out.

    Returns:
        the card of the checkpoint, whose weights are the average with the best validation PSNR.

    Raises:
        SrbenchError: data, names or values that cannot be used; a loss that is no number; InterruptedRunError.
    """
    settings = settings or Settings()
    model = get_model(model_name)
    if model.interpolator:
        raise InputError(f"{model_name} is an interpolator: it has no weights to train")
    device = pick_device(settings.device)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    tag = settings.name or recipe.name
    name = checkpoint_name(model.name, [recipe.scale], tag)
    if not (settings.overwrite or settings.resume) and list_checkpoints(name, settings.zoo):
        raise InputError(f"the zoo has a checkpoint {name}; --overwrite replaces it, --name keeps both")
    folder = home() / "runs" / name
    losses = Losses(recipe.loss)
    channels: Literal["y", "rgb"] = model.channels if recipe.channels == "model" else recipe.channels
    options: dict[str, Any] = dict(recipe.options)
    if recipe.skip == "bicubic" and not model.has_skip:
        options["skip"] = "bicubic"

    torch.manual_seed(recipe.seed)
    network = create_model(model.name, recipe.scale, channels=channels, **options).to(device)
    if recipe.channels_last:
        network = network.to(memory_format=torch.channels_last)
    average = Average(network, recipe.ema)
    optimiser = make_optimiser(network.parameters(), recipe)

    sets = find_datasets(recipe.data, settings.data_root)
    train_paths, val_paths = split(sets, recipe.val)
    validation = Validation(val_paths, recipe.scale)
    shown = for_model(model, average.network, recipe.scale, channels, device=device)

    state = start_or_resume(folder, recipe, settings.resume, settings.overwrite)
    start = state.step if state else 0
    run = _Progress(best={key: value.clone() for key, value in average.weights().items()})
    if state:
        network.load_state_dict(state.tensors["network"])
        average.network.load_state_dict(state.tensors["average"])
        load_optimiser(optimiser, state.tensors.get("optimiser", {}))
        load_random(state.tensors["random"])
        run = _Progress(state.tensors["best"], **state.facts["progress"])

    with Watch(folder, name, start, recipe.steps, settings.progress) as watch, stop_on_signal() as stop:
        watch.say(f"{name}: reading {len(train_paths)} pictures of {recipe.data}, {len(val_paths)} held back")
        margin = enlarge_margin(model.pre_upsampled)
        pictures = load_pictures(
            train_paths, recipe.scale, recipe.patch, recipe.rescale, margin, skip_bad=settings.skip_bad
        )
        sampler = Sampler(
            pictures, recipe.patch, recipe.batch, recipe.seed, recipe.augment, channels, model.pre_upsampled
        )
        if not start:
            watch.log(0, {"val_bicubic": validation.bicubic(), "val_psnr": validation.psnr(shown)})

        clock, saved = Clock(run.seconds, start), time.monotonic()
        network.train()
        for step, (lr, hr) in enumerate(sampler.batches(start, recipe.steps, device), start):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(recipe, step)
            with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
                sr = network(lr)
            loss, terms = losses(sr, hr)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if recipe.grad_clip:
                nn.utils.clip_grad_norm_(network.parameters(), recipe.grad_clip)
            optimiser.step()
            average.update(step)
            run.pending.append(torch.cat([loss.detach()[None], terms]))

            done = step + 1
            last = done == recipe.steps
            if done % recipe.log_every == 0 or last or stop.asked:
                values = run.collect(done, losses.names, folder, recipe.seed)
                rate = clock.rate(done, recipe.batch)
                watch.log(done, {**values, "lr": learning_rate(recipe, step), "samples_per_s": round(rate, 1)})
            if done % recipe.val_every == 0 or last:
                run.collect(done, losses.names, folder, recipe.seed)
                run.validated(done, validation.psnr(shown), clock.seconds(), average.weights())
                watch.log(done, run.curve[-1])
            if done % recipe.val_every == 0 or last or stop.asked or time.monotonic() - saved > settings.save_seconds:
                run.collect(done, losses.names, folder, recipe.seed)
                run.seconds = clock.seconds()
                _save(folder, done, model, recipe, network, average, optimiser, run)
                saved = time.monotonic()
            if stop.asked and not last:
                raise InterruptedRunError(f"{name} stopped at step {done} of {recipe.steps}; go on with --resume")

    card = Card(
        name=name,
        model=model.name,
        scales=[recipe.scale],
        channels=channels,
        recipe=tag,
        options=options,
        parameters=sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad),
        data={images.name: images.digest for images in sets},
        steps=recipe.steps,
        samples_seen=recipe.steps * recipe.batch,
        seed=recipe.seed,
        commit=_commit(),
        hardware=_hardware(device),
        wall_time_s=round(run.seconds, 1),
        precision=recipe.precision,
        config=recipe.model_dump(mode="json"),
        curve=run.curve,
        notes=_notes(val_paths, pictures.too_small, pictures.bad),
    )
    save_checkpoint(run.best, card, settings.zoo)
    return card


class _Progress:
    """What a run has measured so far, and its best weights."""

    def __init__(
        self,
        best: dict[str, Tensor],
        best_psnr: float = -math.inf,
        seconds: float = 0.0,
        curve: list[dict[str, Any]] | None = None,
        window: list[float] | None = None,
    ) -> None:
        self.best, self.best_psnr, self.seconds = best, best_psnr, seconds
        self.curve: list[dict[str, Any]] = curve or []
        self.window: list[float] = window or [0.0, 0.0]  # sum of the loss and steps since the last validation
        self.pending: list[Tensor] = []
        self._latest: dict[str, float] = {}

    def facts(self) -> dict[str, Any]:
        """What a saved state keeps besides the weights."""
        best = self.best_psnr
        return {
            **({"best_psnr": best} if math.isfinite(best) else {}),
            "seconds": self.seconds,
            "curve": self.curve,
            "window": self.window,
        }

    def collect(self, done: int, names: list[str], folder: Path, seed: int) -> dict[str, float]:
        """Mean loss and terms of the steps since the last call (which is when a GPU is waited for).

        Raises:
            SrbenchError: a loss that is not finite, with its step.
        """
        if self.pending:
            values = torch.stack(self.pending).double().cpu()
            first = done - len(self.pending)
            self.pending.clear()
            broken = (~values.isfinite()).nonzero()
            if len(broken):
                step, column = int(broken[0, 0]) + first, int(broken[0, 1])
                term = "loss" if column == 0 else names[column - 1]
                raise SrbenchError(
                    f"{term} is {float(values[broken[0, 0], column])} in step {step} (batch of seed {seed}, step {step}); "
                    f"the last good state is in {folder}; a lower lr or grad_clip may help"
                )
            self.window = [self.window[0] + float(values[:, 0].sum()), self.window[1] + len(values)]
            means = values.mean(0).tolist()
            self._latest = {"loss": means[0]}
            if len(names) > 1:
                self._latest.update(zip(names, means[1:], strict=True))
        return self._latest

    def validated(self, step: int, psnr: float, seconds: float, weights: dict[str, Tensor]) -> None:
        """Add a point to the curve; keep the weights if they are the best so far."""
        loss = self.window[0] / max(1.0, self.window[1])
        self.window = [0.0, 0.0]
        self.curve.append({"step": step, "loss": loss, "val_psnr": round(psnr, 4), "seconds": round(seconds, 1)})
        if psnr > self.best_psnr:
            self.best_psnr, self.best = psnr, copy.deepcopy(weights)


def _save(
    folder: Path,
    step: int,
    model: Model,
    recipe: Recipe,
    network: nn.Module,
    average: Average,
    optimiser: torch.optim.Optimizer,
    run: _Progress,
) -> None:
    tensors = {
        "network": dict(network.state_dict()),
        "average": average.weights(),
        "best": run.best,
        "optimiser": optimiser_tensors(optimiser),
        "random": random_tensors(),
    }
    facts = {"model": model.name, "recipe": recipe.model_dump(mode="json"), "progress": run.facts()}
    save_state(folder, RunState(step, tensors, facts))


def _commit() -> str:
    """The source's commit, marked where files differ from it; empty outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()


def _hardware(device: torch.device) -> str:
    """Such as ``AMD EPYC, 2 threads`` or a GPU's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return f"{cpu}, {torch.get_num_threads()} threads of {os.cpu_count()} cores"


def _notes(val: list[Path], too_small: tuple[str, ...], bad: tuple[str, ...]) -> str:
    notes = [f"held back: {', '.join(path.stem for path in val)}"]
    if too_small:
        notes.append(f"smaller than a crop and left out: {', '.join(too_small)}")
    if bad:
        notes.append(f"unreadable and left out: {', '.join(bad)}")
    return "; ".join(notes)
