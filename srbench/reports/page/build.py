"""index.html: one file that works from disk, offline, and may load nothing from anywhere.

The Content-Security-Policy allows the page's own scripts by their hashes and no request at all.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import srbench
from srbench.reports.page.data import page_data
from srbench.reports.page.images import StoredImage, embedded
from srbench.reports.tables.rows import Table
from srbench.zoo import Card

if TYPE_CHECKING:
    from jinja2 import Template

TABULATOR = "6.5.3"
D3 = "7.9.2"

_APP = ("state", "format", "stats", "data", "table", "charts", "pixels", "viewer", "perimage", "drawer", "main")
_FOLDER = Path(__file__).parent


def render_page(
    tables: Sequence[Table],
    cards: Sequence[Card] = (),
    images: Sequence[StoredImage] = (),
    folder: Path | None = None,
) -> str:
    """The whole page.

    Args:
        tables: of ``build_tables``.
        cards: of the zoo.
        images: stored images that the page may show.
        folder: where their files lie.
    """
    data = page_data(tables, cards, images)
    text: str = _template().render(
        title="srbench: super-resolution under one protocol",
        version=srbench.__version__,
        policy=policy(),
        style=_style(),
        script=_script(),
        tabulator=TABULATOR,
        d3=D3,
        licences=_licences(),
        images=embedded(folder, images) if folder and images else [],
        data=_inert(data.text),
        packed=data.packed,
    )
    return text


@functools.cache
def policy() -> str:
    """The Content-Security-Policy: nothing but this page's own script and style."""
    # Tabulator and D3 set style attributes, which have no hash; a style can load nothing here, as no other source is allowed.
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(_script())}'",
            "style-src 'unsafe-inline'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _inert(text: str) -> str:
    """JSON that cannot end its script element: ``<`` stands only inside strings, where it has an escape."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@functools.cache
def _script() -> str:
    vendor = [_vendored("d3.min.js"), _vendored("tabulator.min.js")]
    own = [(_FOLDER / "app" / f"{name}.js").read_text(encoding="utf-8") for name in _APP]
    text = "\n;\n".join(vendor + own)
    if re.search(r"</script|<!--", text, flags=re.IGNORECASE):
        raise AssertionError("a script would end early")
    return text


@functools.cache
def _style() -> str:
    return _vendored("tabulator.min.css") + "\n" + (_FOLDER / "app" / "app.css").read_text(encoding="utf-8")


def _vendored(name: str) -> str:
    """A vendored file without the address of its source map, which a browser's tools would ask for."""
    text = (_FOLDER / "vendor" / name).read_text(encoding="utf-8")
    return re.sub(r"(//|/\*)# sourceMappingURL=\S+( ?\*/)?", "", text).strip()


def _licences() -> str:
    parts = []
    for title, name in ((f"Tabulator {TABULATOR}", "tabulator.LICENSE"), (f"D3 {D3}", "d3.LICENSE")):
        parts.append(f"{title}\n\n{(_FOLDER / 'vendor' / name).read_text(encoding='utf-8').strip()}")
    return "\n\n\n".join(parts)


@functools.cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "app"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("index.html.j2")
