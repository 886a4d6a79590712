"""Modules beside the study of sparsity are found by their names."""

from __future__ import annotations

from pcgen.tools.comparison import study

study.use_modules(study.STUDIES / "sparsity")
