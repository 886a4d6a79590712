r"""Charged particles in a magnetic field along z: helices, seen across the beam as circles.

A particle of transverse momentum p_T (GeV) and charge q from the axis runs on a circle of radius
r = p_T / (0.2998 \|q\| B) (m, T), whose curvature has the sign of q. After an arc of length s it is
at the distance ρ from the axis, turned by s/2r against the direction in which it started:

    ρ = 2 r sin(s / 2r),    φ = φ_0 - s / 2r,    z = z_0 + s sinh η.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BENDING = 0.299792458  #: GeV for each T and m


def curvature(pt: Array, charge: Array, field: float) -> Array:
    """1/r in 1/m, with the sign of the charge [N].

    >>> round(1 / float(curvature(np.array(10.0), np.array(1.0), 3.8)), 2)
    8.78
    """
    return np.asarray(BENDING * charge * field / pt)


def arc_to(radius: float, bent: Array) -> Array:
    """Length of the arc to a distance of ``radius`` m from the axis [N].

    Infinite for those that turn back before; ``bent`` is their curvature.
    """
    half = 0.5 * radius * np.abs(bent)
    reached = radius / np.sinc(np.arcsin(np.minimum(half, 1)) / np.pi)
    return np.where(half <= 1, reached, np.inf)


def after(arc: Array, bent: Array) -> tuple[Array, Array]:
    """Distance from the axis and turn in rad after an arc [N].

    Behind half a circle, where the particle is on the other side of the axis, the distance is
    negative.
    """
    turn = 0.5 * bent * arc
    return arc * np.sinc(turn / np.pi), turn


def wrapped(angle: Array) -> Array:
    """The angle within [-π, π]."""
    return np.asarray(angle - 2 * np.pi * np.round(angle / (2 * np.pi)))
