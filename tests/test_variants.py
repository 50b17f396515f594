"""Ways of running a network: names, what a device cannot do, that each changes what it says and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from srbench.errors import SrbenchError
from srbench.evaluation.device import Device, cpu_name, describe, free_memory, gpu_driver
from srbench.evaluation.timed_image import network_input
from srbench.evaluation.variants import default_variants, parse_ways, passes, reason_against
from srbench.inference import Inference
from srbench.models import MODELS, create_model, get_model
from srbench.subjects import everything, resolve, resolve_timed
from srbench.upscaler import Upscaler, for_model, network_pass

pytestmark = pytest.mark.usefixtures("one_thread", "srbench_home")

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")
ANY = st.builds(
    Inference,
    tile=st.just(0),
    ensemble=st.just(False),
    fused=st.booleans(),
    precision=st.sampled_from(["fp32", "tf32", "bf16", "fp16"]),
    layout=st.sampled_from(["contiguous", "channels_last"]),
    compile=st.booleans(),
    graph=st.booleans(),
)


def upscaler(name: str = "fsrcnn_s", scale: int = 2) -> Upscaler:
    torch.manual_seed(0)
    return for_model(get_model(name), create_model(name, scale), scale)


@given(variant=ANY)
def test_a_name_says_everything_and_is_read_back(variant: Inference) -> None:
    assert Inference.parse(variant.speed_variant) == variant
    assert (variant.speed_variant == "eager") == (variant == Inference())
    assert variant.eager == Inference.parse(variant.eager.speed_variant)


def test_order_of_parts_does_not_matter() -> None:
    assert Inference.parse("channels_last+bf16+fused").speed_variant == "fused+bf16+channels_last"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("bf61", "Did you mean 'bf16'"), ("bf16+fp16", "two of precision: bf16 and fp16"), ("", "unknown variant ''")],
)
def test_a_wrong_name_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(SrbenchError, match=complaint):
        Inference.parse(text)


def test_defaults_begin_with_the_base_and_suit_the_device() -> None:
    for device in (CPU, GPU):
        names = [variant.speed_variant for variant in default_variants(device)]
        assert names[0] == "eager"
        assert len(set(names)) == len(names)
        assert {"channels_last", "bf16", "compile", "fused", "fused+bf16+channels_last"} <= set(names)
    assert not any(
        "cuda_graph" in variant.speed_variant or "fp16" in variant.speed_variant for variant in default_variants(CPU)
    )
    assert {"fp16", "cuda_graph", "tf32"} <= {variant.speed_variant for variant in default_variants(GPU)}


@pytest.mark.parametrize(
    ("variant", "model", "words"),
    [
        ("cuda_graph", "srcnn", "needs a GPU"),
        ("fp16", "srcnn", "for GPUs"),
        ("tf32", "srcnn", "for GPUs"),
        ("fused", "vdsr", "no exact rewrite"),
        ("bf16", "bicubic", "interpolator"),
        ("bf16", "srcnn", ""),
        ("fused+channels_last", "srcnn", ""),
        ("eager", "bicubic", ""),
    ],
)
def test_what_a_cpu_or_a_network_cannot_do(variant: str, model: str, words: str) -> None:
    reason = reason_against(Inference.parse(variant), upscaler(model))
    assert words in reason
    assert bool(reason) == bool(words)


def test_what_an_old_gpu_cannot_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    reasons = [reason_against(way, upscaler()) for way in parse_ways(["bf16", "tf32", "fp16+cuda_graph"], GPU)]
    assert reasons == ["Old GPU has no bf16 arithmetic", "Old GPU has no TF32 arithmetic", ""]


@pytest.mark.parametrize("name", ["channels_last", "fused", "bf16", "fused+bf16+channels_last"])
def test_a_variant_leaves_the_network_and_its_image_alone(name: str) -> None:
    base = upscaler("fsrcnn", 3)
    with torch.no_grad():
        for module in base.module.modules():
            if isinstance(module, nn.ConvTranspose2d):
                module.weight.normal_(0, 0.1)
    kept = {key: value.clone() for key, value in base.module.state_dict().items()}
    x = torch.rand(1, 1, 9, 11)
    expected = network_pass(base, x)
    made = passes(base.with_(Inference.parse(name)), x)()
    assert float((made - expected).abs().max()) < (0.05 if "bf16" in name else 1e-5) * float(expected.abs().max())
    assert ("bf16" in name) == (made.dtype == torch.bfloat16)
    for key, value in base.module.state_dict().items():
        assert torch.equal(value, kept[key])
        assert value.is_contiguous()
    assert torch.equal(network_pass(base, x), expected)


def test_channels_last_reaches_weights_and_image() -> None:
    """An image of one channel has the same bytes in both layouts: the weights must say which is meant."""
    seen: list[torch.Tensor] = []
    varied = upscaler("espcn").with_(Inference(layout="channels_last"))
    convs = [module for module in varied.module.modules() if isinstance(module, nn.Conv2d)]
    convs[1].register_forward_hook(lambda module, args, out: seen.append(args[0]))
    network_pass(varied, torch.rand(1, 1, 8, 9))
    assert convs[1].weight.is_contiguous(memory_format=torch.channels_last)
    assert not seen[0].is_contiguous()
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_compile_is_asked_for_a_fixed_size(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def fake(module: nn.Module, **options: object) -> nn.Module:
        asked.append(options)
        return module

    monkeypatch.setattr(torch, "compile", fake)
    base = upscaler()
    x = torch.rand(1, 1, 6, 6)
    assert torch.equal(passes(base.with_(Inference(compile=True)), x)(), network_pass(base, x))
    assert asked == [{"dynamic": False}]


def test_a_cuda_graph_is_captured_after_a_warm_up_and_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    class Stream:
        def wait_stream(self, other: object) -> None:
            log.append("wait")

    class Graph:
        def replay(self) -> None:
            log.append("replay")

    @contextlib.contextmanager
    def capture(graph: Graph) -> Iterator[None]:
        log.append("capture")
        yield
        log.append("captured")

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    base = upscaler()
    base.module.register_forward_hook(lambda *_: log.append("pass"))
    x = torch.rand(1, 1, 6, 6)
    replay = passes(base.with_(Inference(graph=True)), x)
    assert log == ["wait", "pass", "pass", "pass", "wait", "capture", "pass", "captured"]
    first, second = replay(), replay()
    assert log[8:] == ["replay", "replay"]
    assert first is second


def test_tf32_is_off_unless_asked_for() -> None:
    """Whatever the process allows outside: float32 means float32, and the switches are put back."""
    seen: list[tuple[bool, bool]] = []
    switches = (torch.backends.cudnn, torch.backends.cuda.matmul)
    base = upscaler()
    base.module.register_forward_hook(lambda *_: seen.append(tuple(s.allow_tf32 for s in switches)))  # type: ignore[arg-type]
    x = torch.rand(1, 1, 6, 6)
    before = [s.allow_tf32 for s in switches]
    try:
        for allowed in (True, False):
            for switch in switches:
                switch.allow_tf32 = allowed
            network_pass(base, x)
            network_pass(base.with_(Inference(precision="tf32")), x)
            assert [s.allow_tf32 for s in switches] == [allowed, allowed]
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value
    assert seen == [(False, False), (True, True)] * 2


def test_what_is_timed_are_checkpoints_and_networks_at_one_scale() -> None:
    found = everything(4, untrained=True)
    assert {subject.name for subject in found} == {model.name for model in MODELS if 4 in model.scales}
    assert all(subject.random_weights != (subject.kind == "interpolator") for subject in found)
    assert [s.scale for s in resolve_timed(["srcnn", "srcnn"])] == [4]
    srgan, srresnet, edsr = resolve_timed(["srgan", "srresnet", "edsr"])
    assert srgan.structure == srresnet.structure != edsr.structure
    assert resolve("btsrn", options={"width": 64})[0].structure != resolve("btsrn")[0].structure


def test_random_weights_are_the_same_each_time_and_leave_the_random_state() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (resolve("espcn")[0].upscaler(2).network.state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "shape"), [("srcnn", (2, 1, 24, 32)), ("espcn", (2, 1, 6, 8)), ("edsr_baseline", (2, 3, 6, 8))]
)
def test_the_timed_image_is_what_a_network_takes(name: str, shape: tuple[int, ...]) -> None:
    x = network_input(resolve(name)[0].upscaler(4), (6, 8), 2)
    assert x.shape == shape
    assert 0 <= float(x.min()) < float(x.max()) <= 1


def test_a_device_has_a_name_that_a_folder_can_have() -> None:
    found = describe(CPU)
    assert isinstance(found, Device)
    assert found.slug.endswith(f"-{torch.get_num_threads()}-threads")
    assert found.slug == found.slug.lower()
    assert "/" not in found.slug
    assert found.name == cpu_name()
    assert free_memory(CPU) is None or free_memory(CPU) > 0  # type: ignore[operator]


def test_a_gpu_is_described_by_its_name_and_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100 80GB HBM3")
    monkeypatch.setattr("srbench.evaluation.device.gpu_driver", lambda: "570.1")
    found = describe(GPU)
    assert (found.slug, found.type, found.driver) == ("nvidia-h100-80gb-hbm3", "cuda", "570.1")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5, 9))
    assert free_memory(GPU) == 5
    monkeypatch.setattr("shutil.which", lambda tool: None)
    assert gpu_driver() == ""
