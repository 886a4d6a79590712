r"""Formulas of the pages, in GitHub's notation, as MathML: no script and no font from the network.

Between lines of text a block ``math``, within a line ``$a_i$`` or, where letters of Markdown stand
in it, ``$`a_i`$``.
"""

from __future__ import annotations

import re
from typing import Any

from latex2mathml.converter import convert
from markdown import Extension, Markdown
from markdown.inlinepatterns import InlineProcessor

INLINE = r"(?<![\\$\w])\$(?![\s`$])([^$]+?)(?<![\s\\])\$(?![\w$])"
QUOTED = r"\$`([^`]+)`\$"
BEFORE_CODE, AFTER_CODE = 195, 185
"""Priorities: Python-Markdown takes code at 190 and backslashes at 180."""


def block(latex: str, *unused: Any, **options: Any) -> str:
    """A formula on lines of its own; several lines are aligned at their ``&``."""
    if re.search(r"\\\\|(?<!\\)&", latex):
        latex = rf"\begin{{aligned}}{latex}\end{{aligned}}"
    return f'<div class="formula">{convert(latex, display="block")}</div>'


class Inline(InlineProcessor):
    """A formula within a line."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:  # type: ignore[override]
        return self.md.htmlStash.store(convert(m[1])), m.start(0), m.end(0)


class Formulas(Extension):
    """Formulas within lines; blocks are fences of ``pymdownx.superfences``."""

    def extendMarkdown(self, md: Markdown) -> None:
        md.inlinePatterns.register(Inline(QUOTED, md), "quoted-formula", BEFORE_CODE)
        md.inlinePatterns.register(Inline(INLINE, md), "formula", AFTER_CODE)


def on_config(config: Any) -> Any:
    """MkDocs calls this once its configuration is read."""
    config.markdown_extensions.append(Formulas())
    fence = {"name": "math", "class": "formula", "format": block}
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [fence]}
    return config
