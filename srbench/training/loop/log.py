"""A run's log: a JSON object a line, each sealed by a checksum, so that a damaged line is left out and counted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srbench.files import write_text
from srbench.records import KEY, checksum, is_sealed, seal

LOG = "log.jsonl"

LogLine = dict[str, Any]
"""``step`` and what was measured then, as JSON has it."""

_NUMBERS = ("loss", "lr", "samples_per_s", "seconds", "val_bicubic", "val_psnr")


@dataclass(frozen=True)
class Log:
    """What a log holds.

    Attributes:
        lines: the sound ones in order.
        damaged: how many were left out. A last line that is being written, or that a kill cut off, is none of them.
    """

    lines: list[LogLine]
    damaged: int

    def remark(self, folder: Path) -> str:
        """What to tell a user of damaged lines; "" where there are none."""
        lines = "1 line is" if self.damaged == 1 else f"{self.damaged} lines are"
        return f"{folder / LOG}: {lines} not what was written, and left out" if self.damaged else ""


def log_line(step: int, facts: Mapping[str, Any]) -> str:
    """A line of a log, with its end."""
    return json.dumps(seal({"step": step, **facts})) + "\n"


def read_log(folder: Path) -> Log:
    """The log in a run's folder.

    Lines of an earlier srbench have no checksum; where one line has, all must.

    Raises:
        OSError: there is none, or it cannot be read.
    """
    *whole, _cut_off = (folder / LOG).read_text(encoding="utf-8", errors="replace").split("\n")
    found = [_parsed(text) for text in whole if text.strip()]
    sealed = any(line is not None and is_sealed(line) for line in found)
    lines = [line for line in found if line is not None and (not sealed or _is_sound(line))]
    return Log([{key: value for key, value in line.items() if key != KEY} for line in lines], len(found) - len(lines))


def forget_after(folder: Path, step: int) -> Log:
    """Drop the lines of steps that will be done again, and damaged ones; the log as it was.

    Args:
        folder: the run's; without a log it gets an empty one.
        step: the last whose lines stay.
    """
    found = read_log(folder) if (folder / LOG).is_file() else Log([], 0)
    write_text(folder / LOG, "".join(log_line(line["step"], line) for line in found.lines if line["step"] <= step))
    return found


def _parsed(text: str) -> LogLine | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict) or type(line.get("step")) is not int:
        return None
    if not is_sealed(line) and re.fullmatch("[0-9a-f]{64}", str(list(line.values())[-1])):
        return None  # it had a checksum, whose key was damaged
    return line if all(type(line.get(key, 0)) in (int, float) for key in _NUMBERS) else None


def _is_sound(line: LogLine) -> bool:
    return line.get(KEY) == checksum({key: value for key, value in line.items() if key != KEY})
