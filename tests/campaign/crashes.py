"""Commands to kill: evaluation, training (PSNR and adversarial), downloads, reports and exports, each small."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from tests.campaign.kills import LIMIT_S, Facts, Victim, ended, start


def srbench(*arguments: object) -> None:
    """The command line in this process, whose current folder is its home; ends with SystemExit."""
    from srbench.cli import main

    os.environ |= {"SRBENCH_HOME": str(Path.cwd()), "SRBENCH_DIRTY": "1"}
    main([str(argument) for argument in arguments], prog_name="srbench")


@contextmanager
def home(folder: Path) -> Iterator[None]:
    """``SRBENCH_HOME`` for what prepares and looks."""
    before = os.environ.get("SRBENCH_HOME")
    os.environ["SRBENCH_HOME"] = str(folder)
    try:
        yield
    finally:
        os.environ.pop("SRBENCH_HOME")
        if before is not None:
            os.environ["SRBENCH_HOME"] = before


def sha256(path: Path) -> str:
    """Of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files(folder: Path) -> dict[str, object]:
    """Path → sha256 of what is not being written."""
    found = [path for path in folder.rglob("*") if path.is_file() and ".staging" not in str(path.relative_to(folder))]
    return {str(path.relative_to(folder)): sha256(path) for path in found}


# Evaluation


def prepare_eval(place: Path) -> None:
    """Four small images and an untrained network."""
    from tests.builders import store_checkpoint, write_images

    write_images(place / "images", 3, (36, 40))
    with home(place):
        store_checkpoint("fsrcnn_s", "tiny", skip="bicubic")


def work_eval(place: Path) -> None:
    """Six cells."""
    named = ("bicubic", "nearest", "fsrcnn_s_x4.tiny", "--datasets", "images", "--scale", 4)
    srbench("eval", *named, "--metrics", "psnr,ssim", "--protocol", "standard,rgb", "--no-report", "--json")


def records(place: Path) -> Facts:
    """Each record's numbers; raises where one is broken."""
    from srbench.results import read_results, record_name

    kept = ("metrics", "status", "images", "cell_hash", "data_sha256")
    return {
        record_name(result): {key: value for key, value in result.model_dump(mode="json").items() if key in kept}
        for result in read_results(place / "results")
    }


def record_files(place: Path) -> Facts:
    """The bytes of each record: what was measured once is not measured again."""
    records(place)
    return files(place / "results")


# Training

_RECIPE = """
data = "images"
val = 2
patch = 4
batch = 4
steps = 20
val_every = 5
log_every = 1
skip = "bicubic"
ema = 0.9
"""
_GAME = """
keep = "last"
init_from = "srresnet_s_x4.tuned"
options = { blocks = 1, features = 8 }
loss = { mse = 1.0, adversarial = 1e-3 }

[adversarial]
kind = "standard"
discriminator = "convolutional"
norm = "virtual"
reference = 4
label_noise = 0.1
n_critic = 2
"""


def prepare_train(place: Path) -> None:
    """Six small images and a recipe."""
    from tests.builders import write_images

    write_images(place / "images", 6, (40, 48))
    (place / "small.toml").write_text(_RECIPE)


def prepare_gan(place: Path) -> None:
    """The same for an adversarial run, with a parent to start from."""
    from tests.builders import store_parent

    prepare_train(place)
    (place / "small.toml").write_text(_RECIPE.replace("steps = 20", "steps = 12") + _GAME)
    with home(place):
        store_parent("srresnet_s", skip="bicubic", blocks=1, features=8)


def work_train(_place: Path) -> None:
    """A run that saves its state after every step and goes on where it was killed."""
    srbench("train", "fsrcnn_s", "--recipe", "small.toml", "--threads", 1, "--save-every", 0, "--resume", "--json")


def work_gan(_place: Path) -> None:
    """The same against a discriminator of few features, as a state of its 5 million weights takes long to write."""
    from srbench.models.discriminators import srgan

    narrow = [(16, stride) for _, stride in srgan._WIDTHS]
    srgan._WIDTHS = (*narrow[:-1], srgan._WIDTHS[-1])
    srbench("train", "srgan_s", "--recipe", "small.toml", "--threads", 1, "--save-every", 0, "--resume", "--json")


def trained(place: Path) -> Facts:
    """Every tensor of the state and of the checkpoint, and the curve."""
    from safetensors.numpy import load_file

    from srbench.zoo import list_checkpoints, verify

    (run,) = (place / "runs").iterdir()
    found: dict[str, object] = {}
    for card in list_checkpoints(root=place / "zoo"):
        verify(card, place / "zoo")
        found |= {
            f"{card.name} {key}": value.tobytes()
            for key, value in load_file(place / "zoo" / f"{card.stem}.safetensors").items()
        }
        found[f"curve of {card.name}"] = [(p["step"], p["loss"], p["val_psnr"]) for p in card.curve]
    return found | {f"state {key}": value.tobytes() for key, value in load_file(run / "state.safetensors").items()}


def run_seen(place: Path) -> Facts:
    """That the last state is whole, both that are kept are, the log is, and no step is lost."""
    from srbench.training.after.runs import list_runs
    from srbench.training.loop.log import read_log
    from srbench.training.loop.state import load_state
    from srbench.zoo import list_checkpoints, verify

    for card in list_checkpoints(root=place / "zoo"):
        verify(card, place / "zoo")
    list_runs(place / "runs")
    found: dict[str, object] = {}
    for run in (place / "runs").glob("*"):
        if (run / "log.jsonl").is_file():
            assert not read_log(run).damaged, "a line of the log is damaged"
        state = load_state(run)
        assert state is None or not state.fault, f"{state and state.fault}"
        steps = state.step if state else 0
        found |= {f"step {step}": True for step in range(1, steps + 1)}
    return found


# Downloads

_FILES = {f"HR/{name}.png": name.encode() * 9999 for name in ("first", "second", "third")}
_CHUNK = 8192


@cache
def served() -> tuple[dict[str, bytes], str]:
    """What the server has, and its address; the server is a process of its own that ends with this one."""
    import io
    import signal
    import threading
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, content in enumerate(_FILES.values(), 1):
            archive.writestr(f"inner/{number:04}.png", content)
    answers = {f"/{path}": content for path, content in _FILES.items()} | {"/set.zip": buffer.getvalue()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for at in range(0, len(body), _CHUNK):  # slowly, so that kills meet it in the middle
                self.wfile.write(body[at : at + _CHUNK])
                time.sleep(0.002)

        def log_message(self, *_: object) -> None:
            """Silent."""

    class Server(HTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client was killed."""

    server = Server(("127.0.0.1", 0), Handler)
    parent = os.getpid()
    if os.fork() == 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=lambda: _while_alive(parent), daemon=True).start()
        server.serve_forever()
    server.server_close()
    return answers, f"http://127.0.0.1:{server.server_port}"


def _while_alive(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def prepare_get(_place: Path) -> None:
    """Nothing: the server has it all."""
    served()


def work_get(place: Path) -> None:
    """A set of single files and one in an archive."""
    from srbench.datasets import catalog
    from srbench.datasets.entry import Archive, Dataset, File

    answers, url = served()
    os.environ |= {"no_proxy": "127.0.0.1", "SRBENCH_CACHE": str(place / "cache")}
    listing = tuple(
        File(path, len(content), hashlib.sha256(content).hexdigest(), f"{url}/{path}")
        for path, content in _FILES.items()
    )
    single = Dataset("single", "nobody", "Single", "test", 3, "none", "http://127.0.0.1", "draw them", listing=listing)
    packed = answers["/set.zip"]
    archive = Archive(f"{url}/set.zip", len(packed), hashlib.sha256(packed).hexdigest(), "inner")
    zipped = replace(single, name="zipped", folder="Zipped", listing=(), numbered="%04d.png", archive=archive)
    catalog.CATALOG = {entry.name: entry for entry in (single, zipped)}  # type: ignore[misc]
    srbench("data", "get", "single", "zipped", "--data-root", "data")


def data_seen(place: Path) -> Facts:
    """That each file in its place is whole."""
    found = files(place / "data")
    known = {hashlib.sha256(content).hexdigest() for content in _FILES.values()}
    torn = [name for name, digest in found.items() if name.endswith(".png") and digest not in known]
    assert not torn, f"cut off: {torn}"
    return found


# Reports


def prepare_report(place: Path) -> None:
    """Records of a few networks on two sets."""
    from srbench.results import write_result
    from tests.test_reports import cell

    for checkpoint, gain in (("bicubic", 0.0), ("fsrcnn_x4.tuned", 1.0), ("vdsr_x4.tuned", 1.5)):
        for dataset in ("set5", "set14"):
            write_result(cell(checkpoint, gain, dataset=dataset), place / "results")


def work_report(_place: Path) -> None:
    """All of reports/."""
    srbench("report")


def report_seen(place: Path) -> Facts:
    """That each file of the reports is the one of a run left alone, which the same records always give."""
    expected = _reports_left_alone(place.parent / "whole")
    torn = [name for name, digest in files(place / "reports").items() if expected.get(name) != digest]
    assert not torn, f"torn: {torn}"
    return files(place / "reports")


@cache
def _reports_left_alone(place: Path) -> dict[str, object]:
    return files(place / "reports")


# Exports

_EXPORTED = "net.onnx"


def prepare_export(place: Path) -> None:
    """An image, two untrained networks, and the file of the first, which the second is to replace."""
    from tests.builders import store_checkpoint, write_images

    write_images(place / "images", 1, (36, 40))
    with home(place):
        store_checkpoint("fsrcnn_s", "older", skip="bicubic", seed=1)
        store_checkpoint("fsrcnn_s", "tiny", skip="bicubic")
    _in_process_of_its_own(lambda: _export("fsrcnn_s_x4.older"), place)


def _in_process_of_its_own(work: Callable[[], None], place: Path) -> None:
    """Done in a fork: its threads must not be those of what is forked later."""
    pid = start(lambda _: work(), place, "prepared")
    assert ended(pid, LIMIT_S) == 0, place.with_suffix(".prepared").read_text()


def _export(name: str) -> None:
    small = ("--dataset", "images", "--images", 1, "--seconds", 0.01, "--size", "9x10")
    srbench("export", name, "--output", _EXPORTED, *small, "--json")


def work_export(_place: Path) -> None:
    """The second network's file and card in the place of the first's."""
    _export("fsrcnn_s_x4.tiny")


def exported(place: Path) -> Facts:
    """The file's bytes, and its card but for times and dates; raises where the card is damaged or another file's."""
    from srbench.weights.exported import read_card

    card, digest = read_card(place / _EXPORTED), sha256(place / _EXPORTED)
    assert card.sha256 == digest, "the card is another file's"
    assert card.measured is not None
    kept = card.model_dump(mode="json", exclude={"created", "measured"})
    return {"file": digest, "card": kept, "difference": card.measured.max_difference, "dB": card.measured.psnr}


def export_seen(place: Path) -> Facts:
    """That the file is whole, the older or the newer one, and that a reader gets a network from it with a card that is whole."""
    from srbench.weights.exported import read_card

    newer, older = (sha256(folder / _EXPORTED) for folder in (place.parent / "whole", place.parent / "template"))
    assert sha256(place / _EXPORTED) in (newer, older), "cut off, or of two networks"
    named = {"fsrcnn_s_x4.tiny": newer, "fsrcnn_s_x4.older": older}
    card = read_card(place / _EXPORTED)
    assert named[card.subject] == card.sha256, "the card speaks of a file that its network never was"
    return {"file and card are there": True}


VICTIMS = (
    Victim("eval", prepare_eval, work_eval, records, record_files),
    Victim("train", prepare_train, work_train, trained, run_seen),
    Victim("train-gan", prepare_gan, work_gan, trained, run_seen),
    Victim("data-get", prepare_get, work_get, lambda place: files(place / "data"), data_seen),
    Victim("export", prepare_export, work_export, exported, export_seen),
    Victim("report", prepare_report, work_report, lambda place: files(place / "reports"), report_seen),
)
