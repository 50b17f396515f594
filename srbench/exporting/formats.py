"""The formats that a network can be written in, and what each can express."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from srbench.errors import InputError, MissingExtraError, UnknownNameError
from srbench.weights.exported import FormatName, Precision


@dataclass(frozen=True)
class Job:
    """What a format's writer gets.

    Attributes:
        module: ``(N, C, h, w)`` → ``(N, C, H, W)``, in the export form.
        planes: channels of its input, 1 or 3.
        size: height and width of its input: an example where sizes are free, else the only one.
        eight_bit: its input and output are uint8.
        precision: of its arithmetic or weights.
        calibration: inputs ``(1, C, h, w)`` that int8 ranges are taken from.
    """

    module: nn.Module
    planes: int
    size: tuple[int, int]
    eight_bit: bool
    precision: Precision
    calibration: Sequence[Tensor] = ()


@dataclass(frozen=True)
class Format:
    """What is known of a format.

    Attributes:
        name: of it, and of the extra that brings it.
        title: for people.
        suffix: of its file.
        others: suffixes of the files that belong to it.
        layout: of its images.
        free: height, width and batch (in this order) that may be anything when the file is used.
        refuses: what it cannot express → why.
        needs: modules that write and read it.
    """

    name: FormatName
    title: str
    suffix: str
    others: tuple[str, ...]
    layout: Literal["NCHW", "NHWC"]
    free: tuple[bool, bool, bool]
    refuses: dict[str, str]
    needs: tuple[str, ...]

    def write(self, job: Job, path: Path) -> dict[str, str]:
        """Write the file, and those that belong to it; what wrote it, by name and version.

        Raises:
            InputError: the network has something that the format cannot express, in one line.
            UnavailableError: what writes it is not installed.
        """
        written: dict[str, str] = importlib.import_module(f"srbench.exporting.{self.name}").write(job, path)
        return written

    def check(self, precision: Precision, *, eight_bit: bool) -> None:
        """Refuse what it cannot express, and say how to install what is missing."""
        for asked, there in ((precision, True), ("uint8", eight_bit)):
            if there and asked in self.refuses:
                raise InputError(f"{self.title} cannot be written as {asked}: {self.refuses[asked]}")
        missing = [name for name in self.needs if importlib.util.find_spec(name) is None]
        if missing:
            raise MissingExtraError(f"{self.title} needs {', '.join(missing)}", self.name)


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format("onnx", "ONNX", ".onnx", (), "NCHW", (True, True, True), {}, ("onnx", "onnxscript", "onnxruntime")),
        Format(
            "litert",
            "LiteRT",
            ".tflite",
            (),
            "NHWC",
            (False, False, False),
            {},
            ("ai_edge_litert", "ai_edge_quantizer"),
        ),
        Format(
            "ncnn",
            "ncnn",
            ".param",
            (".bin",),
            "NCHW",
            (True, True, False),
            {
                "int8": "the tools that calibrate and quantise (ncnn2table, ncnn2int8) are not in the wheel",
                "uint8": "its blobs are floats",
            },
            ("ncnn", "pnnx"),
        ),
    )
}


def get_format(name: str | None, out: Path | None) -> Format:
    """The format that is named, or that a file's suffix stands for.

    Raises:
        UnknownNameError: no such format, with the nearest.
        InputError: neither a name nor a suffix that says it; a suffix of another format.
    """
    suffix = out.suffix.lower() if out is not None else ""
    by_suffix = {one.suffix: one for one in FORMATS.values()}
    if name is None:
        if suffix in by_suffix:
            return by_suffix[suffix]
        known = ", ".join(f"{one.name} ({one.suffix})" for one in FORMATS.values())
        raise InputError(f"no format: give --format, or an output file whose suffix says it; known: {known}")
    if name not in FORMATS:
        raise UnknownNameError("format", name, FORMATS)
    chosen = FORMATS[name]
    if out is not None and suffix != chosen.suffix:
        raise InputError(f"{out}: a file of {chosen.title} ends in {chosen.suffix}")
    return chosen


def version_of(*packages: str) -> dict[str, str]:
    """Package → installed version, for a card."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def run_tool(what: str, arguments: Sequence[str], seconds: float, **how: Any) -> subprocess.CompletedProcess[str]:
    """Run another program to its end; InputError, which names ``what``, where it takes longer than ``seconds``."""
    try:
        return subprocess.run(arguments, capture_output=True, text=True, timeout=seconds, **how)
    except subprocess.TimeoutExpired:
        raise InputError(f"{what} did not end within {seconds:g} s") from None


def first_line(error: BaseException) -> str:
    """The first telling line of an exporter's error, which may run to pages."""
    lines: list[Any] = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
