"""Copy what the registries of models and metrics say to srbench/facts.json: ``python -m tests.make_facts``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import srbench.facts
from srbench.facts import Facts, MetricFacts, ModelFacts
from srbench.metrics import METRICS
from srbench.models import MODELS


def facts() -> Facts:
    """The facts as the registries have them; those of other packages stay out."""
    models = {
        m.name: ModelFacts(
            name=m.name,
            display=m.display,
            title=m.paper.title,
            year=m.paper.year,
            url=m.paper.url,
            channels=m.channels,
            interpolator=m.interpolator,
            parameters={scale: m.parameters[scale] for scale in m.scales},
        )
        for m in MODELS
    }
    metrics = {m.name: MetricFacts(m.name, m.summary, m.least, m.greatest, m.tolerance) for m in METRICS}
    return Facts(models, metrics)


def text() -> str:
    """facts.json."""
    return json.dumps(asdict(facts()), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(srbench.facts.__file__).with_name("facts.json").write_text(text(), encoding="utf-8")
