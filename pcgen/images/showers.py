r"""Showers and clouds: rows of voxel energies [B, V], or points with energies, in a calorimeter.

A voxel with energy is a point at its centre (x, y, z), with the energy as ``weight`` and the number
of its layer as ``layer``; see ``calorimeter.schema``. Back, a point fills the voxel it lies in;
``layer``, where clouds have one, decides over z, so that a generator may make either.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cloud
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Calorimeter, VoxelLocation
from pcgen.images.cells import Array, as_tensor, finite_energies
from pcgen.images.multi_hit import MultiHit, check_policy, settled
from pcgen.images.placing import Outside, Overflow
from pcgen.images.spreading import spread_over_cells
from pcgen.ops.segments import sum_by
from pcgen.schema import Quantity, Schema
from pcgen.units import factor

INCIDENT = "incident_energy"
"""Name of the condition that is the energy of the incoming particle."""


def shower_to_cloud(
    voxels: Tensor | Array,
    calorimeter: Calorimeter,
    *,
    threshold: float = 0.0,
    jitter: bool = False,
    y: Tensor | Array | None = None,
    label: Tensor | Array | None = None,
    generator: torch.Generator | None = None,
) -> Batch:
    """Points at the voxels that are above ``threshold``, as :func:`image_to_cloud` has it.

    Args:
        voxels: Energies [B, V], ≥ 0; with a threshold above 0 they may be negative and give no
            point. Integers become the default float type.
        calorimeter: The V voxels.
        threshold: A voxel with more than this is a point, ≥ 0.
        jitter: Put each point uniformly within its voxel, not at the centre: a ring that is not cut
            into angles is one voxel all around, whose centre lies on one side.
        y: Conditions [B, C], the incident energy say, passed on.
        label: Classes [B], passed on.
        generator: Source of the jitter.

    Returns:
        Clouds with ``pos`` (x, y, z), ``weight`` and ``layer`` in the order of the voxels.

    Raises:
        ArgumentError: a shape, dtype or the threshold does not fit.
        DataError: an energy is negative or not finite; names the event.

    >>> calorimeter = Calorimeter.planar([(0, 2), (0, 2)], [(0, 1, 2), (0, 2)])
    >>> clouds = shower_to_cloud(torch.tensor([[0.0, 3.0, 5.0]]), calorimeter)
    >>> clouds.pos.tolist(), clouds.weight.tolist(), clouds.layer.tolist()
    ([[1.0, 1.5, 0.5], [1.0, 1.0, 1.5]], [3.0, 5.0], [0, 1])
    """
    if not 0 <= threshold < math.inf:
        raise ArgumentError(f"threshold: got {threshold}, expected a number ≥ 0")
    voxels, y, label = as_tensor("voxels", voxels), as_tensor("y", y), as_tensor("label", label)
    check_showers(voxels, calorimeter, threshold=threshold)
    if not voxels.is_floating_point():
        voxels = voxels.to(torch.get_default_dtype())
    filled = voxels > threshold
    event, voxel = filled.nonzero(as_tuple=True)
    geometry = calorimeter.geometry(voxels.device)
    clouds = cloud.make(
        geometry.centre.to(torch.promote_types(voxels.dtype, torch.float32))[voxel],
        torch.bincount(event, minlength=len(voxels)),
        weight=voxels[filled],
        layer=geometry.layer[voxel],
        y=y,
        label=label,
    )
    return scatter_within_voxels(clouds, voxel, calorimeter, generator) if jitter else clouds


def scatter_within_voxels(
    clouds: Batch, voxel: Tensor, calorimeter: Calorimeter, generator: torch.Generator | None
) -> Batch:
    """Points at random within the voxels ``voxel`` [N], at whose centres they are.

    They stay at the centre where rounding would move one out of its own.
    """
    spread = spread_over_cells(clouds, calorimeter, depth=True, generator=generator)
    stays = calorimeter.locate(spread.pos).voxel == voxel
    return cloud.replace(clouds, pos=torch.where(stays[:, None], spread.pos, clouds.pos))


def cloud_to_shower(
    clouds: Batch,
    calorimeter: Calorimeter,
    *,
    outside: Outside = "error",
    multi_hit: MultiHit = "sum",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Sum the energies of the points in each voxel.

    Args:
        clouds: B clouds of points (x, y, z), with or without ``layer``.
        calorimeter: The V voxels.
        outside: Points outside are refused (``"error"``), left out (``"drop"``) or put into the
            nearest voxel of the nearest layer (``"clip"``). :func:`shower_overflow` counts them.
        multi_hit: Where points go that share a voxel, see :mod:`pcgen.images.multi_hit`.
        generator: Source of the randomness of ``multi_hit="distinct"``.

    Returns:
        Energies [B, V] in the dtype of the weights; differentiable in them.

    Raises:
        ArgumentError: the clouds have other coordinates, or an unknown layer, or the policy is none
            of this calorimeter.
        DataError: a value is not finite or a weight negative, or points are outside.
    """
    check_policy(multi_hit, calorimeter)
    location = _located(clouds, calorimeter)
    if outside not in ("error", "drop", "clip"):
        raise ArgumentError(f"outside: got {outside!r}, expected 'error', 'drop' or 'clip'")
    if outside == "error" and not bool(location.inside.all()):
        out = (~location.inside).nonzero().flatten()
        events = clouds.batch[out].unique()
        raise DataError(
            f"clouds: got {len(out)} of {len(clouds.pos)} points outside the calorimeter in "
            f"{len(events)} of {clouds.num_graphs} events (first: event {int(events[0])}, "
            f"{clouds.pos[out[0]].tolist()}); outside='drop' or 'clip' would take them"
        )
    weight, voxel = cloud.weights(clouds), location.voxel
    if outside == "drop":
        weight = weight * location.inside
    some = weight.detach() > 0
    points = voxel[some], clouds.batch[some], weight.detach()[some], clouds.pos[some]
    apart = settled(*points, calorimeter, multi_hit, generator)
    rows = clouds.batch * calorimeter.voxels + voxel.masked_scatter(some, apart)
    image = sum_by(weight, rows, clouds.num_graphs * calorimeter.voxels)
    return image.view(clouds.num_graphs, calorimeter.voxels)


def in_calorimeter(clouds: Batch, schema: Schema, calorimeter: Calorimeter) -> Batch:
    """Clouds of a data set as ``calorimeter.schema`` means them; units are converted.

    Args:
        clouds: B clouds with weights; their coordinates are found by name.
        schema: What their numbers mean: x and y are lengths, and so is z where the calorimeter has
            depths; where points have a layer, it is found by its name, and z, where it is no such
            length, is the middle of the layer.
        calorimeter: Where they are to be.

    Returns:
        Clouds with ``pos`` (x, y, z) in mm, ``weight`` in MeV and, where the clouds have such a
        condition, ``y`` [B, 1], the incident energy in MeV. Features and classes are left out.

    Raises:
        ArgumentError: an axis or a layer is missing, or has a unit that cannot be converted.

    >>> from pcgen.schema import Quantity
    >>> calorimeter = Calorimeter.planar([(0, 2), (0, 2)], [(0, 2), (0, 2)])
    >>> clouds = cloud.make(torch.tensor([[0.1, 0.1, 1.5]]), [1], weight=torch.tensor([2.0]))
    >>> axes = Quantity("x", "cm"), Quantity("y", "cm"), Quantity("z")
    >>> moved = in_calorimeter(clouds, Schema(axes, Quantity("energy", "GeV")), calorimeter)
    >>> moved.pos.tolist(), moved.weight.tolist()
    ([[1.0, 1.0, 1.5]], [2000.0])
    """
    wanted = calorimeter.schema
    if schema.weight is None or wanted.weight is None or clouds.get("weight") is None:
        raise ArgumentError("weight: got points without one, expected their energies")
    layer, energy = _named_layer(clouds, schema, calorimeter), wanted.weight.unit
    axes = {axis.name: column for column, axis in enumerate(schema.axes)}
    columns = []
    for axis in wanted.axes:
        if axis.name == "z" and layer is not None and not _measured(schema, axis):
            edges = torch.tensor(calorimeter.depth_edges, dtype=torch.double, device=layer.device)
            columns.append((0.5 * (edges[:-1] + edges[1:])).to(clouds.pos.dtype)[layer])
            continue
        if axis.name not in axes:
            raise ArgumentError(f"axes: got {', '.join(axes)}, expected {axis.name} among them")
        column = axes[axis.name]
        scale = factor(schema.axes[column].unit, axis.unit, f"axis {axis.name}")
        columns.append(clouds.pos[:, column] * scale)
    known = [each.name for each in schema.condition]
    y = None
    if INCIDENT in known and clouds.get("y") is not None:
        column = known.index(INCIDENT)
        y = clouds.y[:, column : column + 1]
        y = y * factor(schema.condition[column].unit, energy, INCIDENT)
    return cloud.make(
        torch.stack(columns, 1),
        cloud.sizes(clouds),
        weight=clouds.weight * factor(schema.weight.unit, energy, schema.weight.name),
        layer=layer,
        y=y,
    )


def shower_overflow(clouds: Batch, calorimeter: Calorimeter) -> Overflow:
    """Number and energy of the points of each cloud that are outside the calorimeter.

    Raises:
        ArgumentError: the clouds have other coordinates, or an unknown layer.
        DataError: a value is not finite or a weight negative.
    """
    out = ~_located(clouds, calorimeter).inside
    weight = cloud.weights(clouds) * out
    points = torch.zeros_like(cloud.sizes(clouds)).index_add(0, clouds.batch, out.long())
    return Overflow(points, sum_by(weight, clouds.batch, len(points)))


def check_showers(voxels: Tensor, calorimeter: Calorimeter, *, threshold: float = 0.0) -> Tensor:
    """Refuse energies [B, V] that are negative or not finite; return them otherwise.

    Below a threshold above 0 they may be negative.

    Raises:
        ArgumentError: they are no real numbers [B, V].
        DataError: naming the first bad event, its voxel and layer.
    """
    if voxels.dim() != 2 or voxels.shape[1] != calorimeter.voxels or voxels.is_complex():
        raise ArgumentError(
            f"voxels: got {voxels.dtype} {tuple(voxels.shape)}, "
            f"expected real numbers ['B', {calorimeter.voxels}]"
        )
    good = finite_energies(voxels, threshold)
    if not bool(good.all()):
        event, voxel = map(int, (~good).nonzero()[0])
        layer = calorimeter.numbers[int(calorimeter.geometry().layer[voxel])]
        raise DataError(
            f"voxel {voxel} (layer {layer}) of event {event}: got {float(voxels[event, voxel])}, "
            "expected a finite number ≥ 0"
        )
    return voxels


def _measured(schema: Schema, axis: Quantity) -> bool:
    """Whether clouds have such a coordinate, in a unit that can be converted."""
    own = next((each for each in schema.axes if each.name == axis.name), None)
    return own is not None and (own.unit == axis.unit or "" not in (own.unit, axis.unit))


def _named_layer(clouds: Batch, schema: Schema, calorimeter: Calorimeter) -> Tensor | None:
    """Layer of each point in the calorimeter [N]; None where points have none."""
    layer = clouds.get("layer")
    if layer is None or not schema.layers:
        return layer
    own = calorimeter.schema.layers
    unknown = [name for name in schema.layers if name not in own]
    counted = schema.layers == tuple(map(str, range(len(schema.layers))))
    if unknown and counted and len(schema.layers) <= len(own):
        return layer  # they are counted, and not called by their numbers
    if unknown:
        raise ArgumentError(
            f"layers: got {', '.join(unknown[:5])}, expected those of the calorimeter: "
            f"{', '.join(own[:5])}{', ...' * (len(own) > 5)}"
        )
    places = torch.tensor([own.index(name) for name in schema.layers], device=layer.device)
    return places[layer]


def _located(clouds: Batch, calorimeter: Calorimeter) -> VoxelLocation:
    cloud.check(clouds, len(calorimeter.schema.axes))
    return calorimeter.locate(clouds.pos, clouds.get("layer"))
