"""ncnn, by pnnx from a traced network: any height and width, one image at a time, weights in float32 or float16."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import torch

from srbench.errors import InputError
from srbench.exporting.formats import Job, first_line, run_tool, version_of
from srbench.exporting.onnx import quiet
from srbench.exporting.whole import example

_SECONDS = 600.0
_OTHER = 8  # pixels by which the second example differs, from which pnnx learns which sizes are free


def write(job: Job, path: Path) -> dict[str, str]:
    """Write ``job`` as ncnn's ``.param`` and ``.bin``; see :meth:`srbench.exporting.formats.Format.write`."""
    import pnnx

    x = example(job.planes, job.size, 1)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        try:
            with quiet():
                torch.jit.trace(job.module, x, check_trace=False).save(str(place / "net.pt"))  # type: ignore[no-untyped-call]
        except Exception as error:
            raise InputError(f"ncnn: this network cannot be traced: {first_line(error)}") from None
        other = (1, job.planes, job.size[0] + _OTHER, job.size[1] + 2 * _OTHER)
        shapes = [f"inputshape={_shape(tuple(x.shape))}", f"inputshape2={_shape(other)}"]
        half = f"fp16={int(job.precision == 'fp16')}"
        run = run_tool("pnnx", [pnnx.EXEC_PATH, "net.pt", *shapes, half], _SECONDS, cwd=place)
        made = (place / "net.ncnn.param", place / "net.ncnn.bin")
        if run.returncode or not all(file.is_file() for file in made):
            said = (run.stderr or run.stdout).strip().splitlines()
            raise InputError(f"pnnx fails with code {run.returncode}: {said[-1][:200] if said else 'it says nothing'}")
        _refuse_unknown(made[0])
        for file, suffix in zip(made, (".param", ".bin"), strict=True):
            shutil.copyfile(file, path.with_suffix(suffix))
    return version_of("pnnx", "ncnn")


def _shape(sides: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, sides))}]"


def _refuse_unknown(param: Path) -> None:
    """Pnnx writes what it cannot translate as a layer with its own name, which ncnn would refuse later."""
    from srbench.weights.ncnn import read_layers

    strange = sorted({kind for kind, _ in read_layers(param) if "." in kind or "::" in kind or kind.startswith("aten")})
    if strange:
        raise InputError(f"ncnn cannot express this network: it has no {', '.join(strange)}")
