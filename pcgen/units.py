"""Units of energies, lengths and times, and the factors between them; angles as multiples of π.

Numbers are converted, and no unit is guessed.

>>> factor("GeV", "MeV"), factor("cm", "mm")
(1000.0, 10.0)
"""

from __future__ import annotations

import math

from pcgen.errors import ArgumentError

_POWERS = {
    "energy": {"eV": 0, "keV": 3, "MeV": 6, "GeV": 9, "TeV": 12},
    "length": {"nm": -9, "um": -6, "µm": -6, "mm": -3, "cm": -2, "m": 0, "km": 3},
    "time": {"ps": -12, "ns": -9, "us": -6, "µs": -6, "ms": -3, "s": 0},
}


def angle(text: str) -> float:
    """A number, or a multiple of π: ``pi``, ``-pi``, ``0.5pi``.

    Raises:
        ValueError: it is neither.
    """
    if not text.endswith("pi"):
        return float(text)
    factor = text.removesuffix("pi")
    return math.pi * float(f"{factor}1" if factor in ("", "+", "-") else factor)


def typed(value: float) -> str:
    """The text that :func:`angle` reads back, exactly.

    >>> typed(2 * math.pi), typed(-math.pi), typed(0.4)
    ('2pi', '-pi', '0.4')
    """
    times = value / math.pi
    factor = {1.0: "", -1.0: "-"}.get(times, f"{times:g}")
    return f"{factor}pi" if value and angle(f"{factor}pi") == value else str(value)


def known(kind: str) -> tuple[str, ...]:
    """The units of a kind of quantity: ``energy``, ``length`` or ``time``."""
    return tuple(_POWERS[kind])


def factor(unit: str, to: str, what: str = "unit") -> float:
    """What a number in one unit is multiplied by to be in another.

    Args:
        unit: Of the number.
        to: Of the result.
        what: File or argument whose number it is, for the message.

    Raises:
        ArgumentError: a unit is unknown, or the two measure different things.
    """
    if unit == to:
        return 1.0
    for powers in _POWERS.values():
        if unit in powers and to in powers:
            power = powers[unit] - powers[to]
            return 10.0**power if power >= 0 else 1 / 10.0**-power
    kind = next((name for name, powers in _POWERS.items() if to in powers), None)
    wanted = f"one of {', '.join(known(kind))}" if kind else repr(to)
    raise ArgumentError(f"{what}: got unit {unit!r}, expected {wanted}")
