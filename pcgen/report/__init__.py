"""Results to read: tables of scores beside their floors, and a page that shows everything."""

from pcgen.report.page import figure, link, paragraph, write_page
from pcgen.report.tables import (
    FAR,
    comparison,
    html_table,
    latex_table,
    markdown_table,
    number,
    text_table,
)

__all__ = [
    "FAR",
    "comparison",
    "figure",
    "html_table",
    "latex_table",
    "link",
    "markdown_table",
    "number",
    "paragraph",
    "text_table",
    "write_page",
]
