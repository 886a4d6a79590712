"""What can go wrong: one small family, every message naming the place, the value and the remedy.

The command line catches :class:`PcgenError`, prints its one line and exits with status 1.
"""

from __future__ import annotations

import importlib
import re
from types import ModuleType

DISTRIBUTION = "pcgen-hep"
"""What pip installs; PCGen alone is another program, a generator of characters."""

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class PcgenError(Exception):
    """Base of every error that pcgen raises on purpose.

    Its message is one line, whatever the names in it: files bring line breaks and commands of a
    terminal in theirs.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(_UNSEEN.sub(" ", a) if isinstance(a, str) else a for a in args))


class ArgumentError(PcgenError, ValueError):
    """An argument has a value, shape, dtype or device that cannot be used."""


class DataError(PcgenError, ValueError):
    """Clouds or images hold what they must not: NaN, negative energies, wrong keys or shapes."""


class FileError(PcgenError, OSError):
    """A file is missing, truncated, foreign or cannot be written."""


class CheckpointError(FileError):
    """A checkpoint is corrupt, foreign, of another version or names an unknown recipe."""


class TrainingError(PcgenError, RuntimeError):
    """Training cannot go on, for instance because a loss is not finite."""


class ClusterError(PcgenError, RuntimeError):
    """Workers of a cluster cannot do the work: they die over it, or are of another version."""


class Terminated(KeyboardInterrupt):
    """The system ends the program (SIGTERM), as batch systems do; handled like Ctrl-C."""


class MissingExtraError(PcgenError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


def at_least(least: float, **arguments: float | None) -> None:
    """Refuse arguments that are smaller, or not a number; those that are None are not given.

    Raises:
        ArgumentError: naming the first one.

    >>> at_least(1, hidden=64, layers=0)
    Traceback (most recent call last):
    pcgen.errors.ArgumentError: layers: got 0, expected >= 1
    """
    for name, value in arguments.items():
        if value is not None and not value >= least:
            raise ArgumentError(f"{name}: got {value}, expected >= {least}")


def require(module: str, extra: str) -> ModuleType:
    """Import the optional ``module``, or say how to install what its extra brings.

    Args:
        module: Name of the module, ``"pythia8mc"`` say.
        extra: Name of the extra in setup.cfg that installs it.

    Raises:
        MissingExtraError: the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{module} is needed here and could not be imported ({error}): install it with "
            f"pip install {' '.join(_of_extra(extra)) or module} (pcgen's extra {extra!r})"
        ) from error


def _of_extra(extra: str) -> list[str]:
    """What an extra installs, quoted for a shell; right wherever pcgen was installed from."""
    from importlib import metadata

    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    of_extra = re.compile(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]")
    return [f"'{line.partition(';')[0].strip()}'" for line in lines if of_extra.search(line)]
