"""pcgen's own protocol: every score that the events' schema gives a meaning to."""

from __future__ import annotations

import torch
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.metrics.comparisons import (
    Column,
    Comparison,
    Marginals,
    Measure,
    Together,
    TwoSample,
    chamfer_neighbourhood,
    earth_mover_neighbourhood,
    event_columns,
    frechet_physics,
    kernel_physics,
    marginals,
    point_columns,
)
from pcgen.metrics.declustering import lund_declusterings
from pcgen.metrics.energyflow import energy_flow_polynomials
from pcgen.metrics.observables import event_features, is_jet, layer_weights, observables
from pcgen.metrics.preparation import relative
from pcgen.metrics.protocols.jets import w1efp
from pcgen.metrics.protocols.protocol import Part, Protocol
from pcgen.metrics.substructure import substructure
from pcgen.schema import Schema


def pcgen(schema: Schema, *, repeats: int = 10, subset: int = 100) -> Protocol:
    """W1 of all observables and features, a classifier, COV, MMD and 1-NNA; of jets FPD and KPD.

    Args:
        schema: What the numbers of the events mean.
        repeats: Random halvings of the real events.
        subset: Events on each side of the scores over all pairs; 0 leaves those out.

    Raises:
        ArgumentError: fewer than 2 repeats, or a negative subset.
    """
    if repeats < 2 or subset < 0:
        raise ArgumentError(
            f"repeats, subset: got {repeats} and {subset}, expected at least 2 (for an "
            "uncertainty) and at least 0"
        )
    half = max(repeats // 2, 2)
    parts = [Part(jet_marginals if is_jet(schema) else marginals, batches=repeats)]
    if is_jet(schema):
        parts.append(Part(physics, batches=repeats))
    parts.append(Part(classifier, batches=half))
    if subset:
        pairs = (chamfer_neighbourhood, earth_mover_neighbourhood)
        parts += [Part(b, events=subset, batches=half, tested=subset) for b in pairs]
    return Protocol("pcgen", tuple(parts), need=10)


def jet_marginals(clouds: Batch, schema: Schema) -> Marginals:
    """W1 of observables, substructure and layers, of the particles' features, the Lund plane."""
    plane = lund_declusterings(clouds)
    rows = torch.arange(len(plane.kt), device=plane.ptr.device)
    owner = torch.searchsorted(plane.ptr, rows, right=True) - 1
    lund = {"lund ln 1/delta": -plane.delta.log(), "lund ln kt": plane.kt.log()}
    events = {**observables(clouds, schema), **substructure(clouds, schema)}
    events |= layer_weights(clouds, schema)
    columns = [
        *event_columns(events),
        *(Column(Measure(f"W1 {name}"), value, owner) for name, value in lund.items()),
        *point_columns(clouds, schema),
    ]
    return Marginals(columns, clouds.num_graphs)


def physics(clouds: Batch, schema: Schema) -> Comparison:
    """FPD and KPD of the 36 energy-flow polynomials of relative p_T, and W1 of five of them."""
    jets = relative(clouds, schema)
    features = energy_flow_polynomials(jets)
    return Together([frechet_physics(features), kernel_physics(features), w1efp(jets, schema)])


def classifier(clouds: Batch, schema: Schema) -> TwoSample:
    """A classifier that sees the observables of the events."""
    return TwoSample(event_features(observables(clouds, schema)))
