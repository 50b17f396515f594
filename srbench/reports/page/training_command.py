"""The command that trains a network as a card's was."""

from __future__ import annotations

import shlex

from srbench.zoo import Card

# Keys that differ from a recipe's own most often, but for its options.
_CHANGED = ("patch", "batch", "init_from", "warm_from")
_INSTEAD = "-vgg16"  # what a recipe's name ends with where VGG16 took VGG19's place


def training_command(card: Card) -> str:
    """A line for a shell: recipe, size, time or steps, seed, and what is most often changed; the card has every key.

    >>> from srbench.zoo import find_checkpoint
    >>> training_command(find_checkpoint("espcn_x4.tuned-seed1"))
    'srbench train espcn --recipe tuned --scale 4 --size cpu --set patch=24 --set batch=16 --budget 423s --seed 1 --name again'

    Args:
        card: of a network that srbench trained at one scale or several.
    """
    config = card.config
    words = ["srbench", "train", card.source or card.model, "--recipe", card.trained_by.removesuffix(_INSTEAD)]
    words += ["--scale", str(config.get("scale") or card.scales[0])]
    words += ["--size", config["size"]] if config.get("size") else []
    changes = {key: config.get(key) for key in _CHANGED}
    changes |= {f"options.{name}": value for name, value in config.get("options", {}).items()}
    words += [word for key, value in changes.items() if value for word in ("--set", f"{key}={value}")]
    words += ["--budget", f"{card.budget_s:g}s"] if card.budget_s else ["--steps", str(card.steps)]
    words += ["--seed", str(card.seed)] if card.seed else []
    return shlex.join([*words, "--name", "again"])
