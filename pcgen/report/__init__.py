"""Results to read: tables of scores beside their floors, and a page that shows everything."""

from pcgen.report.page import bullets, details, figure, link, paragraph, write_page
from pcgen.report.summary import summary
from pcgen.report.tables import (
    FAR,
    comparison,
    far,
    html_table,
    latex_table,
    markdown_table,
    number,
    text_table,
)

__all__ = [
    "FAR",
    "bullets",
    "comparison",
    "details",
    "far",
    "figure",
    "html_table",
    "latex_table",
    "link",
    "markdown_table",
    "number",
    "paragraph",
    "summary",
    "text_table",
    "write_page",
]
