"""facts.json says what the registries say."""

from __future__ import annotations

from dataclasses import asdict

from srbench.facts import metric_facts, model_facts, read_facts
from tests.make_facts import facts


def test_the_copy_is_that_of_the_registries() -> None:
    assert asdict(read_facts()) == asdict(facts()), "run `python -m tests.make_facts`"


def test_a_thing_of_another_package_has_a_name_and_no_more() -> None:
    assert model_facts("my_net").display == "MY-net"
    assert model_facts("MyNet").display == "MyNet"
    assert model_facts("my_net").scales == ()
    assert metric_facts("mine").greatest is None


def test_display_names_are_those_of_papers() -> None:
    names = {name: model_facts(name).display for name in ("edsr_baseline", "srresnet_s", "msrresnet", "bicubic")}
    assert list(names.values()) == ["EDSR-baseline", "SRResNet-s", "MSRResNet", "Bicubic"]
    assert metric_facts("ssim").greatest == 1.0
