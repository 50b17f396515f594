"""The trainer: one run from its options to its checkpoint, in the order in which things happen."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from srbench.datasets.hashes import digest_of
from srbench.datasets.image_set import ImageSet
from srbench.errors import InputError, SrbenchError, UnavailableError, counted
from srbench.home import home
from srbench.inference import Inference
from srbench.models import Model, get_model
from srbench.models._training_form import training_form
from srbench.names import check_name
from srbench.provenance import refuse_edited_code
from srbench.training.data.guard import Guarded, guard
from srbench.training.data.images import load_images, upscaling_margin
from srbench.training.data.pairs import find_lr, lr_facts, unused_lr
from srbench.training.data.sampler import Share
from srbench.training.data.sets import find_training_sets
from srbench.training.data.stages import Stages
from srbench.training.loop.adversarial import AdversarialStep, Surroundings
from srbench.training.loop.budget import decide_length
from srbench.training.loop.card import RunRecord, left_out, make_card, reasons
from srbench.training.loop.compiled import compiled
from srbench.training.loop.distributed import Processes, with_synchronised_norms
from srbench.training.loop.folder import Stop, check_writable, claim, start_or_resume, stop_on_signal, write_recipe
from srbench.training.loop.half import halved
from srbench.training.loop.log import read_log
from srbench.training.loop.options import InterruptedRunError, RunOptions
from srbench.training.loop.own import OwnModel, PlainLayout, check_generator
from srbench.training.loop.pace import Pace
from srbench.training.loop.progress import Progress, RunTime
from srbench.training.loop.start import Build, first_weights
from srbench.training.loop.state import Origin, RunFacts, RunState, load_random, load_state, random_tensors, save_state
from srbench.training.loop.step import Batch, Generator, SupervisedStep
from srbench.training.loop.validation import Validation, split
from srbench.training.loop.watch import Watch
from srbench.training.losses.perceptual import PerceptualLoss, with_backbone
from srbench.training.losses.pixel import Term, check_terms
from srbench.training.optim.average import Average
from srbench.training.optim.schedule import learning_rate
from srbench.training.recipe.schema import Recipe
from srbench.upscaler import for_model
from srbench.zoo import Card, checkpoint_name, list_checkpoints, save_checkpoint, zoo_root


def train(model: str | Model, recipe: Recipe, options: RunOptions | None = None) -> Card:
    """Train a network and write it to the zoo.

    Args:
        model: a registered model, or the description of any.
        recipe: what to learn from and how.
        options: how to carry it out.

    Returns:
        the card of the checkpoint, whose weights are the average with the best validation PSNR, or the last one.

    Raises:
        InputError: data, names or values that cannot be used.
        InterruptedRunError: the user stopped the run; its state is saved.
        SrbenchError: a loss that is no number.
    """
    return Trainer(model, recipe, options or RunOptions()).run()


class Trainer:
    """One run.

    :meth:`run` is the whole: :meth:`prepare`, then :meth:`step` for each batch with :meth:`validate` and :meth:`save` when
    they are due, and :meth:`card` at the end.

    Attributes:
        model: what is trained.
        recipe: as given, with its final number of steps.
        options: as given.
        name: of the checkpoint and of the run's folder.
        folder: where the run's log and state lie.
        network: that learns.
        average: of its weights, which is validated and kept.

    Raises:
        UnknownNameError: no such model or loss term.
        InputError: names that cannot be used, a checkpoint or a run that would be lost, a folder that cannot be written to.
    """

    def __init__(self, model: str | Model, recipe: Recipe, options: RunOptions) -> None:
        self.model = get_model(model) if isinstance(model, str) else model
        if self.model.interpolator:
            raise InputError(f"{self.model.name} is an interpolator: it has no weights to train")
        if options.threads:
            torch.set_num_threads(options.threads)
        self.options, self.processes = options, Processes(options.device)
        self.device = self.processes.device
        torch.backends.cudnn.deterministic = True  # a resumed run ends in the same bits
        recipe = with_backbone(recipe)
        self.tag = check_name("recipe", options.name or recipe.name)
        check_name("model", self.model.name)
        self.name = checkpoint_name(self.model.name, [recipe.scale], self.tag)
        self.folder = (options.runs or home() / "runs") / self.name
        self._check_places()
        check_terms(recipe.loss)
        self.length = decide_length(recipe, options, self.folder, self.processes)
        self.recipe = self.length.recipe

    def _check_places(self) -> None:
        """What is written at the end must be known to be possible at the start."""
        options = self.options
        refuse_edited_code(options.dirty)
        goes_on = options.overwrite or options.resume or options.extend
        if not goes_on and list_checkpoints(self.name, options.zoo):
            raise InputError(f"the zoo has a checkpoint {self.name}; --overwrite replaces it, --name keeps both")
        if self.processes.main:
            check_writable(self.folder)
            check_writable((options.zoo or zoo_root()) / self.model.name)

    # Before the first step

    def prepare(self) -> None:
        """Make everything that needs neither the run's folder nor the training images: network, step, validation."""
        recipe, options = self.recipe, self.options
        self.build = Build.of(self.model, recipe)
        torch.manual_seed(recipe.seed)
        self.network = self.build.network()
        self.origin: Origin = first_weights(self.network, self.build, recipe, options.zoo)
        self.network = self.network.to(self.device)
        if recipe.sync_norm and self.processes.world > 1:
            self.network = with_synchronised_norms(self.network, self.device)
        if recipe.channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)
        forward, exchange = self._forward(), self.processes.average
        self.average = Average(self.network, recipe.ema)
        if self.processes.world > 1 and not recipe.discriminator:
            example = torch.zeros(self._batch_shape(), device=self.device)
            forward, exchange = self.processes.synchronised(forward, example), self.processes.average_values
        self.learning = self._make_step(Generator(self.network, forward, recipe, exchange))

        sets = find_training_sets(recipe.data, options.data_root)
        self.digests = {images.name: images.digest for images in sets}
        self._remarks = [text for images in sets for text in images.remarks()]
        val_from = find_training_sets(recipe.val_data, options.data_root) if recipe.val_data else sets
        self.guarded = self._guard([*sets, *val_from], *split(sets, recipe.val, val_from))
        self.train_paths, self.val_paths = self.guarded.train, self.guarded.val
        self._remarks += self.guarded.lines()
        seen = [*{images.paths: images for images in (*sets, *val_from)}.values()]
        self.lr_paths = find_lr(seen, recipe.data_lr, recipe.scale)
        if not recipe.data_lr:
            self._remarks += unused_lr(seen, recipe.scale)
        if self.lr_paths:
            self.digests["lr"] = digest_of(dict(lr_facts(self.lr_paths)))
        self.validation = Validation(self.val_paths, recipe.scale, recipe.degradation, self.lr_paths)
        self.upscaler = for_model(
            self.model, self.average.network, recipe.scale, self.build.channels, Inference(self.device)
        )

    def _guard(self, sets: list[ImageSet], train: list[Path], val: list[Path]) -> Guarded:
        options = self.options
        with self.processes.main_first():  # which leaves what it computed in the cache
            return guard(sets, train, val, options.data_root, options.allow_overlap)

    def _forward(self) -> nn.Module:
        """The network in the form that is quickest to train; one that is not ours is left as it is."""
        multiple = self.model.multiple_at(self.recipe.scale)
        shape = self._batch_shape()
        if shape[-1] % multiple:
            raise InputError(f"patch = {self.recipe.patch}: {self.model.name} takes inputs of a multiple of {multiple}")
        if isinstance(self.model, OwnModel):
            factor = 1 if self.model.pre_upsampled else self.recipe.scale
            check_generator(self.network, self.model.source, (1, *shape[1:]), factor, self.device)
        if self.recipe.compile:
            return compiled(self.network, self.recipe, shape)
        return PlainLayout(self.network) if isinstance(self.model, OwnModel) else training_form(self.network)

    def _batch_shape(self) -> tuple[int, int, int, int]:
        recipe, parts = self.recipe, self.processes.world * self.recipe.accumulate
        if recipe.batch % parts:
            raise InputError(
                f"a batch of {recipe.batch} cannot be cut into {parts} equal parts: {self.processes.world} processes "
                f"times accumulate = {recipe.accumulate}"
            )
        side = recipe.patch * (recipe.scale if self.model.pre_upsampled else 1)
        return (recipe.batch // parts, 1 if self.build.channels == "y" else 3, side, side)

    def _make_step(self, generator: Generator) -> SupervisedStep:
        recipe, processes = self.recipe, self.processes
        learned: dict[str, Term] = {}
        self._sources: list[str] = []
        if "perceptual" in recipe.loss and recipe.perceptual:
            perceptual = PerceptualLoss(recipe.perceptual, recipe.precision).to(self.device)
            self._sources.append(perceptual.source)
            learned["perceptual"] = perceptual
        if not recipe.discriminator:
            return SupervisedStep(generator, learned)
        around = Surroundings(self.build.channels, self.device, self.folder, Share(processes.rank, processes.world))
        return AdversarialStep(generator, learned, around)

    def restore(self) -> int:
        """Take over the run's folder and what is saved there; the step to go on from, 0 for a new run."""
        options, processes = self.options, self.processes
        goes_on, extend = options.resume, bool(options.extend)
        state = None
        if processes.main:
            state = start_or_resume(self.folder, self.recipe, goes_on, options.overwrite, extend, self.watch.say)
        processes.wait()
        if not processes.main and (goes_on or extend):
            state = load_state(self.folder)
        self.pace = Pace(self.length.seconds, self.recipe, state.facts.pace if state else None)
        self.progress = Progress(
            {key: value.clone() for key, value in self.average.weights().items()}, self.learning.names
        )
        if state is None:
            return 0
        if state.facts.left_out is not None and state.facts.left_out != self.guarded.left_out:
            was = ", ".join(state.facts.left_out) or "nothing"
            raise InputError(
                f"{self.folder} was started with {was} left out because of test images, now it is "
                f"{', '.join(self.guarded.left_out) or 'nothing'}: other test sets are here; --overwrite starts again"
            )
        self.network.load_state_dict(state.tensors["network"])
        self.average.network.load_state_dict(state.tensors["average"])
        load_random(state.tensors["random"])
        self.progress = Progress(state.tensors["best"], self.learning.names, state.facts.progress)
        self.origin = state.facts.origin
        self.learning.load(state, self.device)
        if len(self.length.extensions) > len(state.facts.extensions):
            self.pace.begin_again(self.recipe, state.step, state.facts.progress.seconds)
        return state.step

    def read_images(self) -> Stages:
        """Decode the training images; what the batches of all stages are drawn from."""
        recipe, options, watch = self.recipe, self.options, self.watch
        watch.say(
            f"{self.name}: reading {counted(len(self.train_paths), 'image')} of {recipe.data}, "
            f"{len(self.val_paths)} for validation"
        )
        for text in self._remarks:
            watch.say(text)
        with self.processes.main_first():
            images = load_images(
                self.train_paths,
                recipe.scale,
                recipe.patch,
                recipe.rescale,
                upscaling_margin(self.model.pre_upsampled),
                options.skip_bad,
                watch.counting("reading", len(self.train_paths)),
                max(0, options.memory - self.validation.size),
                options.disk,
                recipe.degradation,
                self.lr_paths,
            )
        self.validation.keep_within(options.memory - self.validation.size - images.size)
        if images.kept:
            watch.say(f"{self.name}: {images.kept}")
        for text in reasons(images.too_small, images.bad, bool(self.lr_paths), most=10):
            watch.say(f"{self.name}: {text}")
        for text in self._doubts():
            watch.warn(text)
        self._left_out = left_out(self.val_paths, images.too_small, images.bad, bool(self.lr_paths))
        return Stages(
            images,
            recipe,
            self.build.channels,
            self.model.pre_upsampled,
            Share(self.processes.rank, self.processes.world),
        )

    def _doubts(self) -> list[str]:
        """What is allowed and hardly meant."""
        recipe, found = self.recipe, []
        if recipe.precision == "fp16" and self.device.type == "cpu":
            found.append("precision = 'fp16' is for GPUs: a CPU takes many times as long for it as for bf16 or fp32")
        every = recipe.discriminator.n_critic if recipe.discriminator else 1
        if recipe.steps < every:
            found.append(
                f"the generator learns from every {every}th batch alone (adversarial.n_critic), and this run has "
                f"{recipe.steps}: its weights stay what they are"
            )
        return found

    # The run

    def run(self) -> Card:
        """Train from the first or the saved step to the last, and write the checkpoint.

        Raises:
            InterruptedRunError: the user stopped the run; its state is saved.
            SrbenchError: data that cannot be used, a folder that another run holds, a loss that is no number.
        """
        self.prepare()
        recipe, options, main = self.recipe, self.options, self.processes.main
        with (
            claim(self.folder, main),
            Watch(self.folder, self.name, recipe.steps, options.progress, main, options.trackers) as self.watch,
            ExitStack() as stack,
        ):
            start = self.restore()
            self._say_if_the_length_is_kept()
            stages = self.read_images()
            self.time, self._saved = RunTime(self.progress.facts.seconds, start), time.monotonic()
            if start == 0:
                self._begin(stages)
            stop = stack.enter_context(stop_on_signal())  # not while images are read: there Ctrl-C ends the run at once
            self.network.train()
            while start < self.recipe.steps:  # once, or as often as the run's length is planned anew
                for step, (lr, hr) in enumerate(stages.batches(start, self.device), start):
                    batch = self.step(step, lr, hr)
                    anew = self._plan(step + 1)
                    self._after(step + 1, batch, stop)
                    start = step + 1
                    if anew:
                        stages.follow(self.recipe)
                        break
            card = self._finish()
            self._say_what_the_time_was_used_for()
        return card

    def _plan(self, done: int) -> bool:
        """Look at the plan of a run with a budget when that is due; whether it has changed."""
        if not self.pace.due(done):
            return False
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        planned = self.pace.plan(self.recipe, done, self.time.seconds())
        planned, self.pace.facts = self.processes.agree((planned, self.pace.facts))
        if planned == self.recipe:
            return False
        self.recipe, self.length = planned, replace(self.length, recipe=planned)
        self.learning.follow(planned)
        self.watch.follow(planned.steps)
        if self.processes.main:
            write_recipe(self.folder, planned)
        return True

    def _say_what_the_time_was_used_for(self) -> None:
        if seconds := self.length.seconds:
            spent, steps = self.time.seconds() - self.pace.facts.since, self.recipe.steps
            made, of = f"{steps} steps", "a budget of "
            if self.length.extensions:
                made, of = f"{steps - self.pace.facts.marks[0][0]} more steps", ""
            self.watch.say(f"{self.name}: {made} in {spent:.1f} s of {of}{seconds:g} s")

    def _say_if_the_length_is_kept(self) -> None:
        options, length = self.options, self.length
        if options.budget != length.budget and not options.extend:
            plan = f"a budget of {length.budget:g} s" if length.budget else "another"
            self.watch.warn(f"the run keeps the {self.recipe.steps} steps of {plan}; --overwrite plans anew")

    def _begin(self, stages: Stages) -> None:
        self.learning.begin(stages.first, self.device)
        if self.origin.warm:
            self.watch.say(self.origin.warm)
        if self.processes.main:
            self.watch.log(0, {"val_bicubic": self.validation.bicubic(), **self._first_scores()})
            if self.recipe.init_from:  # what the parent makes of the sample images stands beside what follows
                self.watch.images(0, self.validation.samples(self.upscaler))
        self.pace.begin(self.time.seconds())
        self.time.rate(0, self.recipe.batch)  # the next one is that of steps alone

    def step(self, step: int, lr: Tensor, hr: Tensor) -> Batch:
        """Learn from one batch.

        Args:
            step: its number, the first is 0.
            lr: ``(n, C, h, w)`` on [0, 1]; upscaled already for a network that wants that.
            hr: ``(n, C, H, W)``.
        """
        batch = self.learning(step, lr, hr)
        if batch.values is not None:
            self.average.update(self.learning.updates_before(step))
            self.progress.steps.add(step, batch.values)
        return batch

    def _after(self, done: int, batch: Batch, stop: Stop) -> None:
        """Log, validate, save and stop after ``done`` steps, each when it is due."""
        last = done == self.recipe.steps
        logs = last or done % self.recipe.log_every == 0
        validates = last or done % self.recipe.val_every == 0
        if logs:
            self._log(done, batch)
        if validates:
            self.validate(done)
        stopped = self.processes.any(stop.asked, logs)
        if validates or stopped or time.monotonic() - self._saved > self.options.save_seconds:
            self.save(done)
        if stopped and not last:
            raise InterruptedRunError(f"{self.name} stopped at step {done} of {self.recipe.steps}; go on with --resume")

    def _log(self, done: int, batch: Batch) -> None:
        values = self.progress.collect(self.folder, self.recipe.seed)
        values |= self.learning.report(done, values, batch)
        trouble = self.learning.trouble
        self.watch.warn(trouble)
        rate = round(self.time.rate(done, self.recipe.batch), 1)
        facts = {**values, **({"collapse": trouble} if trouble else {})}
        self.watch.log(done, {**facts, "lr": learning_rate(self.recipe, done - 1), "samples_per_s": rate})

    def validate(self, done: int) -> None:
        """Measure the average on the validation images after ``done`` steps, and keep it if it is the best so far."""
        main = self.processes.main
        self.progress.collect(self.folder, self.recipe.seed)
        scores, each = self._scores(done) if main else ({}, [])
        scores = self.processes.agree({**scores, "seconds": self.time.seconds()})
        self.progress.validated(done, scores, self.average.weights(), self.recipe.keep, each)
        self.watch.log(done, self.progress.facts.curve[-1])
        if main and self.watch.wants_images(done, self.recipe.val_every):
            self.watch.images(done, self.validation.samples(self.upscaler))

    def _first_scores(self) -> dict[str, float]:
        """Scores before the first step; none where a short budget is better spent."""
        budget, perceptual = self.length.budget, self.recipe.discriminator is not None
        if budget and not self.pace.has_room(estimate := self.validation.seconds(self.upscaler, perceptual)):
            if estimate > budget / 2:
                self.watch.warn(
                    f"a validation takes about {estimate:.0f} s of a budget of {budget:g} s; val takes fewer images"
                )
            return {}
        return self._scores(0)[0]

    def _scores(self, done: int) -> tuple[dict[str, float], list[float]]:
        begun = time.perf_counter()
        try:
            scored = self.validation.scored(self.upscaler, perceptual=self.recipe.discriminator is not None)
        except UnavailableError as error:
            when = f"after step {done}; the last good state is in {self.folder}; a lower lr or grad_clip may help"
            raise SrbenchError(f"{self.name}: {error} {when if done else 'before the first step'}") from None
        self.pace.validated(time.perf_counter() - begun)
        return scored

    def save(self, done: int) -> None:
        """Write the state after ``done`` steps; nothing is saved after a loss that is no number.

        Raises:
            SrbenchError: a loss that is no number.
        """
        if not self.processes.main:
            return
        self.progress.collect(self.folder, self.recipe.seed)
        self.learning.check()
        self.progress.facts.seconds = self.time.seconds()
        tensors = {
            "network": dict(self.network.state_dict()),
            "average": self.average.weights(),
            "best": self.progress.best,
            "random": random_tensors(),
            **self.learning.tensors(),
        }
        facts = RunFacts(
            model=self.model.name,
            recipe=self.recipe,
            progress=self.progress.facts,
            budget=self.length.budget,
            extensions=self.length.extensions,
            origin=self.origin,
            pace=self.pace.facts,
            left_out=self.guarded.left_out,
            adversarial=self.learning.facts(),
        )
        save_state(self.folder, RunState(done, tensors, facts))
        self._saved = time.monotonic()

    # After the last step

    def card(self) -> Card:
        """The card of the checkpoint, without what storing the weights adds to it."""
        record = RunRecord(
            build=self.build,
            tag=self.tag,
            length=self.length,
            origin=self.origin,
            data=self.digests,
            curve=self.progress.facts.curve,
            seconds=self.progress.facts.seconds,
            overlaps=self.guarded.marks,
            left_out=self.guarded.left_out,
            remarks=(
                self._left_out,
                *self._sources,
                *(f"step {step}: {reason}" for step, reason in self.learning.events),
                *self._not_above(),
            ),
        )
        return make_card(record, self.network, self.processes)

    def _not_above(self) -> list[str]:
        """What is said of weights that are no better than those that the run began with, or than none at all."""
        if not self.processes.main or self.recipe.keep != "best":
            return []
        lines = [line for line in read_log(self.folder).lines if line["step"] == 0]
        start = {key: line[key] for line in lines for key in ("val_psnr", "val_bicubic") if key in line}
        best = max(point["val_psnr"] for point in self.progress.facts.curve)
        bars = {"bicubic": start.get("val_bicubic")}
        if self.recipe.init_from:
            bars[self.recipe.init_from] = start.get("val_psnr")
        said = [
            f"no validation was above the {bar:.2f} dB of {name}; the best had {best:.2f} dB"
            for name, bar in bars.items()
            if bar is not None and not best > bar
        ]
        for text in said:
            self.watch.warn(text)
        return said

    def _finish(self) -> Card:
        card = self.card()
        if self.processes.main:
            each = self.progress.facts.best_each
            weights, card = halved(self.progress.best, self.upscaler, card, self.validation, each)
            save_checkpoint(weights, card, self.options.zoo)
        self.processes.wait()
        return card
