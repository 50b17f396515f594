"""What benchmarks share: images, and a table of ratios within this run at its end.

Best is a benchmark that takes turns with its peer (``take_turns``, ``record``), so that a busy machine slows both alike; it
gives ``case``, ``ours``, ``peer``, ``ratio`` and ``target`` in its ``extra_info``. Else a group
(``@pytest.mark.benchmark(group="what")``) holds one benchmark of ours and its peers: each names itself in
``extra_info["who"]``, ours as ``srbench``; a peer may have ``extra_info["target"]``, the least ratio of its median to ours; a
missed one fails the run. Absolute times never do.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

OURS = "srbench"
Row = tuple[str, str, str, str, str, str]


@pytest.fixture(scope="session")
def images_2k() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """SR and HR uint8 ``(1356, 2040, 3)``, the size of DIV2K's images: smooth content with noise, 35 dB apart."""
    from srbench.images import imresize

    rng = np.random.default_rng(0)
    hr = imresize(rng.integers(0, 256, (339, 510, 3), dtype=np.uint8), 4)
    sr = np.clip(hr + rng.normal(0.0, 4.5, hr.shape), 0, 255).round().astype(np.uint8)
    return sr, hr


@pytest.fixture(scope="session")
def images_small(
    images_2k: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """SR and HR uint8 ``(256, 256, 3)``, the size of Set5's images."""
    sr, hr = (np.ascontiguousarray(p[:256, :256]) for p in images_2k)
    return sr, hr


def take_turns(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each side in each round, the sides one after the other within a round; one round before does not count."""
    times: dict[str, list[float]] = {who: [] for who in sides}
    for counted in (False, *[True] * rounds):
        for who, side in sides.items():
            start = time.perf_counter()
            side()
            if counted:
                times[who].append(time.perf_counter() - start)
    return times


def record(benchmark: Any, case: str, times: Mapping[str, Sequence[float]], target: float | None = None) -> float:
    """Note a row of the table for ``times`` of srbench and one peer; returns the median over rounds of peer / ours."""
    (peer,) = set(times) - {OURS}
    ratio = statistics.median(theirs / ours for ours, theirs in zip(times[OURS], times[peer], strict=True))
    benchmark.extra_info.update(
        {
            "case": case,
            "ours": f"{1e3 * statistics.median(times[OURS]):.4g} ms",
            "peer": f"{peer} {1e3 * statistics.median(times[peer]):.4g} ms",
            "ratio": round(ratio, 2),
            "target": "" if target is None else f">= {target:g}",
        }
    )
    return ratio


def ratios(config: pytest.Config) -> tuple[list[Row], bool]:
    """The rows of the table, and whether each target of a group is met."""
    session = getattr(config, "_benchmarksession", None)
    groups: dict[str, dict[str, Any]] = defaultdict(dict)
    rows: list[Row] = []
    all_met = True
    for bench in getattr(session, "benchmarks", []):
        info = bench.extra_info
        if "ratio" in info:
            target = str(info.get("target", ""))
            rows.append(
                (
                    info.get("case", bench.name),
                    info.get("ours", ""),
                    info.get("peer", ""),
                    f"{info['ratio']}",
                    target,
                    "",
                )
            )
        elif bench.group and "who" in info and not bench.has_error:
            groups[bench.group][info["who"]] = bench
    for group, members in groups.items():
        ours = members.pop(OURS, None)
        for who, peer in members.items() if ours else ():
            ratio = peer.stats.median / ours.stats.median
            target = peer.extra_info.get("target")
            met = target is None or ratio >= target
            all_met &= met
            rows.append(
                (
                    group,
                    f"{1e3 * ours.stats.median:.4g} ms",
                    f"{who} {1e3 * peer.stats.median:.4g} ms",
                    f"{ratio:.2f}",
                    "" if target is None else f">= {target:g}",
                    "" if met else "MISSED",
                )
            )
    return rows, all_met


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.exitstatus == pytest.ExitCode.OK and not ratios(session.config)[1]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    rows, _ = ratios(config)
    if not rows:
        return
    table = [("case", "ours", "peer", "ratio", "target", ""), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(6)]
    terminalreporter.section("ratios within this run")
    for row in table:
        terminalreporter.write_line(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
