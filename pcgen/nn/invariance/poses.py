r"""Poses: how a signal lies, found from the signal itself, so that it can be put upright and back.

A group G of rotations, reflections and translations offers three things to any signal x it acts on:

``frames(x)``
    a few elements of G that turn with the signal, F(g x) = g F(x). Puny et al., "Frame averaging
    for invariant and equivariant network design", arXiv:2110.03336: with the weighted
    mean :math:`t = \sum_i w_i x_i`, and R = [±v_1, ..., ±v_D] of the eigenvectors of
    :math:`\sum_i w_i (x_i - t)(x_i - t)^T`, the frames of x are all the 2^D (R, t), of rotations
    alone the 2^(D-1) with det R = 1
``canonical(x)``
    the one of them by which the third moments :math:`\sum_i w_i u_{id}^3` of the upright points
    :math:`u = R^T (x - t)` add up to most (with factors 1, 1/2, 1/3 for the axes)
``random(x)``
    a uniformly random element for each event (and no translation, of which none is uniform)

each as a pose, with ``standard(x)`` :math:`= R^T (x - t)` and ``restore(u)`` :math:`= R u + t`.

**Where it is not defined.** Equal eigenvalues leave eigenvectors open. If they are 0 it does not
matter, since the points have no extent there: empty clouds, single points and collinear points
are exact. If they are positive,

* in the plane the first axis is taken from a higher moment that turns with the cloud
  (:func:`_direction`), which is exact for clouds that look the same after 1/3 to 1/6 of a turn, and
  for all others but those with three further moments equal to 0;
* in space (a cube, a symmetric top) no set of so few frames turns with the cloud; one is taken and
  the result is not invariant, which ``isotropy`` shows.

Near such clouds it is exact but changes fast. A canonical pose further needs a third moment: one of
several poses is taken arbitrarily where theirs agree, which matters only if the cloud itself is not
symmetric under what takes one to the other. Periodic axes are taken as they stand: unwrap them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn.invariance.transformations import moved
from pcgen.ops.segments import segment_sum
from pcgen.ops.symmetric_eigen import eigh


class Pose(Protocol):
    """How each signal of a batch lies."""

    def standard(self, signal: Any) -> Any:
        """The signals put upright."""

    def restore(self, signal: Any) -> Any:
        """Upright signals in this pose."""


class Group(Protocol):
    """What finds poses of images or of clouds."""

    def frames(self, signal: Any) -> Sequence[Pose]:
        """Poses that turn with the signal."""

    def canonical(self, signal: Any) -> Pose:
        """The one of them that the signal's moments choose."""

    def random(self, signal: Any, generator: torch.Generator | None = None) -> Pose:
        """Uniformly random poses, of the number, dtype and device of the signals."""


@dataclass(frozen=True, eq=False)
class CloudPose:
    """Axes and origin of B clouds.

    Attributes:
        matrix: R, its columns the axes [B, d, d].
        shift: t, the origin [B, d].
    """

    matrix: Tensor
    shift: Tensor

    def standard(self, clouds: Batch) -> Batch:
        """Rᵀ (x - t), in the first d columns of ``pos``."""
        x = clouds.pos[:, : self.shift.shape[1]] - self.shift[clouds.batch]
        return moved(clouds, torch.einsum("ni,nij->nj", x, self.matrix[clouds.batch]))

    def restore(self, clouds: Batch) -> Batch:
        """R u + t, in the first d columns of ``pos``."""
        u = clouds.pos[:, : self.shift.shape[1]]
        x = torch.einsum("nj,nij->ni", u, self.matrix[clouds.batch])
        return moved(clouds, x + self.shift[clouds.batch])


@dataclass(frozen=True)
class Euclidean:
    """Rotations, reflections and translations of the first columns of ``pos``.

    Without rotations, reflections are those of single axes.

    Attributes:
        dimensions: How many columns of ``pos`` turn, from the first; 2 of 3 for turns about z.
        rotations: Part of the group.
        reflections: Part of the group.
        translations: Part of the group.
    """

    dimensions: int
    rotations: bool = True
    reflections: bool = True
    translations: bool = True

    def frames(self, clouds: Batch) -> list[CloudPose]:
        """1 to 2^d poses of each cloud; differentiable where they are defined."""
        shift, covariance = self._moments(clouds)
        axes = torch.eye(self.dimensions, dtype=shift.dtype, device=shift.device)
        axes = axes.expand_as(covariance)
        if self.rotations:
            axes = self._axes(clouds, shift, covariance)
        return [CloudPose(axes * axes.new_tensor(signs), shift) for signs in self._signs()]

    def canonical(self, clouds: Batch) -> CloudPose:
        """The frame of each cloud with the largest sum of third moments."""
        frames = self.frames(clouds)
        weight = _fractions(clouds)[:, None]
        factor = 1 / torch.arange(1, self.dimensions + 1, dtype=weight.dtype, device=weight.device)
        with torch.no_grad():
            cubes = [self._of(pose.standard(clouds)) ** 3 for pose in frames]
            score = torch.stack([segment_sum(weight * u3, clouds.ptr) @ factor for u3 in cubes])
        best = score.argmax(0)
        matrix = torch.stack([pose.matrix for pose in frames])
        return CloudPose(matrix[best, torch.arange(len(best), device=best.device)], frames[0].shift)

    def random(self, clouds: Batch, generator: torch.Generator | None = None) -> CloudPose:
        """Uniformly random rotations and reflections, of Haar's measure, and no translation."""
        number, d = clouds.num_graphs, self.dimensions
        device = clouds.pos.device if generator is None else generator.device

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, device=device, dtype=torch.float64)

        matrix = torch.eye(d, device=device, dtype=torch.float64).expand(number, d, d)
        if self.rotations:
            # QR of normal numbers, with the signs of R's diagonal: Mezzadri, math-ph/0609050.
            q, r = torch.linalg.qr(normal(number, d, d))
            matrix = _right_handed(q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None])
        signs = torch.tensor(self._signs(), device=device, dtype=torch.float64)
        chosen = torch.randint(len(signs), (number,), generator=generator, device=device)
        matrix = (matrix * signs[chosen][:, None]).to(clouds.pos)
        return CloudPose(matrix, matrix.new_zeros(number, d))

    def isotropy(self, clouds: Batch) -> Tensor:
        """Largest ratio of two neighbouring positive principal moments of each cloud [B].

        Near 1, two of them are about equal and frames are not defined; 0 where there are fewer
        than two, and where nothing rotates.
        """
        _, covariance = self._moments(clouds)
        values = eigh(covariance.detach())[0]
        least = torch.finfo(values.dtype).eps ** 0.5 * values.amax(1, keepdim=True)
        positive = values[:, :-1] > least
        ratio = torch.where(positive, values[:, :-1] / torch.where(positive, values[:, 1:], 1), 0)
        empty = values.new_zeros(len(values), 1)
        return torch.cat([ratio, empty], 1).amax(1) * self.rotations

    def _of(self, clouds: Batch) -> Tensor:
        if clouds.pos.shape[1] < self.dimensions:
            raise ArgumentError(
                f"pos: got {clouds.pos.shape[1]} columns, expected at least {self.dimensions}"
            )
        return clouds.pos[:, : self.dimensions]

    def _moments(self, clouds: Batch) -> tuple[Tensor, Tensor]:
        """Weighted mean [B, d] (0 without translations) and second moments about it [B, d, d]."""
        x, weight = self._of(clouds), _fractions(clouds)[:, None]
        shift = segment_sum(weight * x, clouds.ptr)
        shift = shift if self.translations else torch.zeros_like(shift)
        x = x - shift[clouds.batch]
        return shift, segment_sum((weight * x)[:, :, None] * x[:, None, :], clouds.ptr)

    def _axes(self, clouds: Batch, shift: Tensor, covariance: Tensor) -> Tensor:
        """Right-handed principal axes, as columns, from the largest variance down [B, d, d]."""
        if self.dimensions != 2:
            return _right_handed(eigh(covariance)[1].flip(-1))
        angle = _direction(self._of(clouds) - shift[clouds.batch], _fractions(clouds), clouds.ptr)
        first = torch.stack([angle.cos(), angle.sin()], 1)
        return torch.stack([first, torch.stack([-first[:, 1], first[:, 0]], 1)], 2)

    def _signs(self) -> list[tuple[int, ...]]:
        every = itertools.product((1, -1), repeat=self.dimensions)
        if self.reflections:
            return list(every)
        if self.rotations:
            return [signs for signs in every if signs.count(-1) % 2 == 0]
        return [(1,) * self.dimensions]


def _direction(x: Tensor, weight: Tensor, ptr: Tensor) -> Tensor:
    r"""Angle of the first axis of each cloud in the plane [B]: arg(M) / k of the first M ≠ 0.

    Of x [N, 2] as complex numbers z, :math:`M = \sum_i w_i |z_i|^n z_i^k`, which a turn by φ turns
    by kφ; k = 2 and n = 0 gives the principal axis.
    """
    z, radius = torch.complex(x[:, 0], x[:, 1]), x.detach().square().sum(1).sqrt()
    square = x.square().sum(1)
    angle = x.new_zeros(len(ptr) - 1)
    found = torch.zeros_like(angle, dtype=torch.bool)
    for k, n in ((2, 0), (1, 2), (2, 2), (3, 0), (4, 0), (5, 0), (6, 0)):
        terms = torch.view_as_real(weight * square ** (n // 2) * z**k)
        moment = segment_sum(terms, ptr)
        size = segment_sum(weight * radius ** (n + k), ptr)
        there = moment.detach().norm(dim=1) > torch.finfo(x.dtype).eps ** 0.5 * size
        real, imaginary = torch.where((there & ~found)[:, None], moment, x.new_tensor([1, 0])).T
        angle = angle + torch.atan2(imaginary, real) / k
        found = found | there
        if bool(found.all()):
            break
    return angle


def _right_handed(axes: Tensor) -> Tensor:
    """The last column turned round where the determinant is negative."""
    hand = torch.linalg.det(axes.detach()).sign()[:, None, None]
    return torch.cat([axes[..., :-1], axes[..., -1:] * hand], -1)


def _fractions(clouds: Batch) -> Tensor:
    """Weights that sum to 1 in each cloud [N]; equal ones where there are none or all are 0."""
    weight, total = pc.weights(clouds), pc.total(clouds)[clouds.batch]
    equal = 1 / pc.sizes(clouds)[clouds.batch].to(weight.dtype)
    return torch.where(total > 0, weight / torch.where(total > 0, total, 1), equal).to(clouds.pos)
