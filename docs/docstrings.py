"""Makes the package's docstrings Markdown: doctests become examples, and references and plain-text tables code.

A Griffe extension, named in mkdocs.yml; the docstrings themselves stay as they are read in an editor.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Attribute, ExprCall, Extension, Object

_ROLE = re.compile(r":(?:func|class|meth|mod|attr):`~?([^`]+)`")
_RULE = re.compile(r"=+(?: +=+)+")


class Docstrings(Extension):
    """Rewrites each docstring before it is parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Griffe calls this for every object that it has read."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)

    def on_attribute_instance(self, *, attr: Attribute, **_: Any) -> None:
        """A field of ``Inference`` is shown with its default, without what the command line says of it."""
        if isinstance(attr.value, ExprCall) and str(attr.value.function) == "_option":
            attr.value = attr.value.arguments[0]


def as_markdown(text: str) -> str:
    """A docstring whose doctests stand in sections and whose tables stand in fences."""
    lines: list[str] = []
    example = table = False
    for line in _ROLE.sub(r"`\1`", text).splitlines():
        if line.startswith(">>>") and not example:
            lines.append("Examples:")
            example = True
        elif not line.strip():
            example = False
        if _RULE.fullmatch(line) and not table:
            lines.append("```text")
            table = True
        elif table and not line.strip():
            lines.append("```")
            table = False
        lines.append(f"    {line}" if example else line)
    return "\n".join([*lines, *(["```"] if table else [])])
