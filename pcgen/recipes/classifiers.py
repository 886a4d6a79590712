"""The recipe of a classifier of points: any encoder that ends in one logit for each class.

It is read by the command line, as those of :mod:`pcgen.recipes.points`: arguments are plain values,
and torch is imported inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pcgen.recipes.glossary import described
from pcgen.recipes.points import Encoder, Pooling

if TYPE_CHECKING:
    from pcgen.models.classifier import Classifier


@described
def points_classifier(
    encoder: Encoder = "pointnet",
    hidden: int = 64,
    layers: int = 2,
    orthogonality: float = 0.001,
    t_nets: bool | None = None,
    neighbours: int | None = None,
    dynamic: bool | None = None,
    pooling: Pooling | None = None,
    list_length: int | None = None,
    schema: dict[str, Any] | None = None,
) -> Classifier:
    """Classifier of point sets by their classes; pcgen classify scores it, it is not sampled.

    Args:
        encoder: The network: pointnet, edgeconv, epic, attention, or the control list.
        hidden: Channels of a point inside the network.
        layers: Layers of the network.
        orthogonality: Factor of the distance of pointnet's feature transform from an orthogonal
            one, which is added to the cross entropy; without T-Nets there is none.
        t_nets: Turn the channels of pointnet by T-Nets; by default true.

    Raises:
        ArgumentError: an unknown network, an option that the network does not have, or fewer than
            two classes.
    """
    from pcgen.errors import at_least
    from pcgen.models.classifier import Classifier
    from pcgen.recipes import assembly, networks

    at_least(1, layers=layers)
    if encoder == "pointnet" and t_nets is None:
        t_nets = True
    network = networks.of_points(
        encoder, hidden, layers, t_nets, neighbours, dynamic, pooling, list_length
    )
    points = assembly.points(schema, False, False, alone=True)
    # Of clouds without classes a network of one logit, which the classifier refuses.
    logits = network.encoder(points, max(len(points.schema.labels), 1))
    return Classifier(points, logits, strength=orthogonality)
