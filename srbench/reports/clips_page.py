"""clips.md: every record of results/clips/, each set with the means of its clips and with each clip's own."""

from __future__ import annotations

from collections.abc import Sequence

from srbench.markdown import Markup, bold, code, escape, table
from srbench.reports.paper.table import title
from srbench.reports.tables.clips import ClipRow, ClipTable
from srbench.reports.tables.rows import MetricInfo
from srbench.reports.units import amount, number
from srbench.reports.view import describe

_INTRO = """\
# Clips

Each frame measured as an image, and neighbouring frames by how they change, from the records in `results/clips/`.
`srbench report` writes this file.

- The means are over the clips' means, as the total of Vid4's tables; `srbench clips` prints that over all frames, too.
- Rows stand in the order of the first metric. A set has a few clips, and frames of one clip are alike: nothing here says that two
  networks differ beyond these clips.
- TOF is the mean length of the difference between the optical flows of SR and of HR, by the TV-L1 flow of scikit-image: not to be
  put beside papers' figures. DIFF-PSNR is the PSNR of the change from one frame to the next.
"""


def render_clips(tables: Sequence[ClipTable]) -> str:
    """clips.md: a section a table."""
    return f"{_INTRO}\n{render_clip_sections(tables)}"


def render_clip_sections(tables: Sequence[ClipTable]) -> str:
    """The sections alone."""
    return "\n".join(_section(one) for one in tables)


def _section(one: ClipTable) -> str:
    frames = ", ".join(f"{escape(clip)} {count}" for clip, count in one.clips.items())
    trimmed = f", without {one.trim} at either end" if one.trim else ""
    text = f"## {escape(title(one.dataset))} ×{one.scale}, {escape(one.protocol)}: clips\n\n"
    text += f"Frames: {frames}{trimmed}. {code(one.protocol)}: {describe(one.protocol_fields)}\n"
    if one.rows:
        best = {info.name: _best(one, info) for info in one.metrics}
        heads = ["network", "parameters", *(info.title for info in one.metrics)]
        rows = [[_name(row), amount(row.who.parameters), *_means(row, one.metrics, best)] for row in one.rows]
        text += f"\n{table(heads, rows, 'l' + 'r' * (len(heads) - 1))}"
        what = " / ".join(info.display for info in one.metrics)
        rows = [[_name(row), *(_of_clip(row, clip, one.metrics) for clip in one.clips)] for row in one.rows]
        text += f"\n{table([what, *one.clips], rows, 'l' + 'r' * len(one.clips))}"
    if one.absent:
        text += "\n" + "".join(
            f"- {code(status)}: {escape(who.label)}: {escape(reason)}\n" for who, status, reason in one.absent
        )
    return text


def _name(row: ClipRow) -> Markup:
    small = ", ".join(escape(part) for part in (row.who.recipe, *row.who.marks) if part)
    return Markup(escape(row.who.display) + (f" <sub>{small}</sub>" if small else ""))


def _best(one: ClipTable, info: MetricInfo) -> float | None:
    values = [value for row in one.rows if (value := row.means[info.name]) is not None]
    return (max if info.higher_is_better else min)(values, default=None)


def _means(row: ClipRow, infos: Sequence[MetricInfo], best: dict[str, float | None]) -> list[str]:
    cells = []
    for info in infos:
        value = row.means[info.name]
        text = number(value, info.digits)
        cells.append(bold(text) if value is not None and value == best[info.name] else text)
    return cells


def _of_clip(row: ClipRow, clip: str, infos: Sequence[MetricInfo]) -> str:
    return " / ".join(number(row.clips.get(clip, {}).get(info.name), info.digits) for info in infos)
