"""What GitHub and Python-Markdown see differently.

Pages that lie beside docs/, where GitHub looks for them, join the site, and links follow them. A
list begins behind an empty line, and items within items are indented by four blanks.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
HOME = {"README.md": "index.md"}
OUT = re.compile(rf"\]\(\.\./({'|'.join(PAGES | HOME)})")
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_files(files: Any, config: Any) -> Any:
    """MkDocs calls this with the files of docs/."""
    root = Path(config.config_file_path).parent
    for name, page in PAGES.items():
        text = (root / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text.replace("](docs/", "](")))
    return files


def on_page_markdown(markdown: str, **unused: Any) -> str:
    """MkDocs calls this with the text of each page."""
    return "".join(part if FENCE.match(part) else prose(part) for part in FENCE.split(markdown))


def prose(text: str) -> str:
    r"""Lists and links outside of blocks.

    >>> prose("Either\n- one\n  - and more\n- or [two](../README.md#installing)")
    'Either\n\n- one\n    - and more\n- or [two](index.md#installing)'
    """
    text = re.sub(r"^(?![-|#\s])(.+)\n(?=- )", r"\1\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"^ {2,3}(?=- )", "    ", text, flags=re.MULTILINE)
    return OUT.sub(lambda found: f"]({(PAGES | HOME)[found[1]]}", text)
