"""What checkpoints, runs, models, recipes and ablations may be called: each name becomes a part of file names."""

from __future__ import annotations

import re

from srbench.errors import InputError

PATTERN = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
LONGEST = 120
"""Characters; file systems take 255 bytes, and a checkpoint's name and suffixes come on top."""


def check_name(kind: str, name: str) -> str:
    """The name, if it can be a part of file names on any system.

    Args:
        kind: what is called so, such as ``"recipe"``, for the message.
        name: to be checked.

    Raises:
        InputError: other characters, such as blanks and slashes, a beginning with a dot, no or too many characters.

    >>> check_name("recipe", "srgan-wgan-gp")
    'srgan-wgan-gp'
    """
    if len(name) > LONGEST:
        raise InputError(f"the {kind} name {name[:40]!r}… has {len(name)} characters; expected at most {LONGEST}")
    if not re.fullmatch(PATTERN, name):
        raise InputError(
            f"{kind} name {name!r}: expected letters, digits and . _ + - that begin with a letter or digit{_instead(name)}"
        )
    return name


def slug(text: str) -> str:
    """A name made of any text, as near to it as names allow; "" where nothing of it can stay.

    >>> slug("My net, 2nd try")
    'My-net-2nd-try'
    """
    return re.sub(r"[^A-Za-z0-9._+]+", "-", text)[:LONGEST].strip("-._+")


def _instead(name: str) -> str:
    better = slug(name)
    return f", such as {better!r}" if better else ""
