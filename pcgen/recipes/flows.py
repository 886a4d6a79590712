"""Recipes of flows on point sets: the flow, its maps of few steps, and the map with a critic.

As in :mod:`pcgen.recipes.points`, torch is imported inside the functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pcgen.errors import ArgumentError, at_least
from pcgen.recipes.glossary import described
from pcgen.recipes.points import Encoder, SetEncoder

if TYPE_CHECKING:
    from pcgen.models.flow import FlowMatching
    from pcgen.models.flow_gan import FlowGAN
    from pcgen.models.flow_map import FlowMap
    from pcgen.models.flow_student import FlowStudent

Coupling = Literal["independent", "optimal"]


@described
def points_flow(
    encoder: Encoder = "epic",
    hidden: int = 64,
    layers: int = 4,
    integration_steps: int = 20,
    coupling: Coupling = "independent",
    shift: float = 1.0,
    squash: float | None = None,
    centre: bool = False,
    excess: bool = False,
    global_channels: int | None = None,
    identity: bool | None = None,
    neighbours: int | None = None,
    dynamic: bool | None = None,
    list_length: int | None = None,
    recentre: bool = True,
    rescale: bool = False,
    schema: dict[str, Any] | None = None,
) -> FlowMatching:
    """Flow matching on point sets, conditional on class and y (EPiC-FM, arXiv 2310.00049).

    Args:
        encoder: The velocity field: epic, pointnet (DeepSets), edgeconv, attention, or the control
            list.
        hidden: Channels of a point inside the network.
        layers: Layers of the network.
        coupling: Which noise goes to which point: independent, or optimal, the shortest way within
            each cloud (by rank above 64 points; not for list).

    Raises:
        ArgumentError: an unknown network or choice, or an option that the network does not have.
    """
    from pcgen.models.flow import FlowMatching
    from pcgen.objectives.flow_matching import Clock
    from pcgen.recipes import assembly, flow_assembly, networks

    at_least(1, integration_steps=integration_steps)
    listed = encoder == "list"
    if listed and coupling != "independent":
        # The places of a list have a meaning, and keep their own noise.
        raise ArgumentError(f"coupling: got {coupling!r}, expected independent")
    network = networks.of_points(
        encoder, hidden, layers, neighbours=neighbours, dynamic=dynamic, list_length=list_length,
        global_channels=global_channels, identity=identity,
    )  # fmt: skip
    points = assembly.points(
        schema, recentre, rescale, listed=listed, centre=centre, excess=excess, squash=squash
    )
    return FlowMatching(
        points,
        network.field(points),
        steps=integration_steps,
        clock=Clock(shift),
        coupling=flow_assembly.coupling_of(coupling),
    )


@described
def points_flow_map(
    encoder: SetEncoder = "epic",
    hidden: int = 64,
    layers: int = 4,
    integration_steps: int = 1,
    share: float = 0.25,
    coupling: Coupling = "optimal",
    shift: float = 5.0,
    squash: float | None = 0.75,
    centre: bool = True,
    excess: bool = True,
    global_channels: int | None = None,
    identity: bool | None = None,
    neighbours: int | None = None,
    dynamic: bool | None = None,
    recentre: bool = True,
    rescale: bool = False,
    schema: dict[str, Any] | None = None,
) -> FlowMap:
    """Few-step generator of point sets: a flow that learns its mean velocity between any two times.

    Best begun from a trained points-flow (--start RUN --start-part field), of which it is a copy
    that can go any distance in one evaluation (SoFlow, arXiv 2512.15657).

    Args:
        encoder: The network: epic, pointnet (DeepSets), edgeconv or attention.
        hidden: Channels of a point inside the network.
        layers: Layers of the network.
        integration_steps: Steps when sampling, of one evaluation each.
        share: Fraction of the events that learn mean velocities; the others learn the velocity.
        shift: How much more of the training is near the data, and how the steps are divided; 1 for
            as much at all times.

    Raises:
        ArgumentError: an unknown network or choice, or an option that the network does not have.
    """
    from pcgen.models.flow_map import DISTANCE, FlowMap
    from pcgen.objectives.flow_matching import Clock
    from pcgen.recipes import assembly, flow_assembly, networks

    at_least(1, integration_steps=integration_steps)
    network = networks.of_points(
        encoder, hidden, layers, neighbours=neighbours, dynamic=dynamic,
        global_channels=global_channels, identity=identity,
    )  # fmt: skip
    points = assembly.points(schema, recentre, rescale, centre=centre, excess=excess, squash=squash)
    return FlowMap(
        points,
        network.field(points, DISTANCE),
        steps=integration_steps,
        clock=Clock(shift),
        coupling=flow_assembly.coupling_of(coupling),
        share=share,
    )


@described
def points_flow_student(
    encoder: SetEncoder = "epic",
    hidden: int = 64,
    layers: int = 4,
    integration_steps: int = 1,
    share: float = 0.7,
    teacher_steps: int = 4,
    teacher_pace: float = 0.3,
    coupling: Coupling = "optimal",
    shift: float = 5.0,
    squash: float | None = 0.75,
    centre: bool = True,
    excess: bool = True,
    global_channels: int | None = None,
    identity: bool | None = None,
    neighbours: int | None = None,
    dynamic: bool | None = None,
    recentre: bool = True,
    rescale: bool = False,
    schema: dict[str, Any] | None = None,
) -> FlowStudent:
    """One- to four-step generator of point sets: a flow, then a copy that learns its trajectories.

    Of a points-flow that is trained already (--start RUN --start-part field --share 0) it needs
    minutes (distillation of rectified flow, arXiv 2209.03003, from optimal pairs).

    Args:
        encoder: The network: epic, pointnet (DeepSets), edgeconv or attention.
        hidden: Channels of a point inside the network.
        layers: Layers of the network.
        integration_steps: Steps when sampling, of one evaluation each.
        share: Fraction of the steps in which the flow learns; 0 where the start is one.
        teacher_steps: Midpoint steps in which a trajectory of the flow is followed.
        teacher_pace: How these steps, and the student's, are divided, as in pcgen sample: 0.3 for a
            flow of optimal pairs, 1 for one of independent pairs.
        shift: How much more of the training is near the data, and how the steps are divided; 1 for
            as much at all times.

    Raises:
        ArgumentError: an unknown network or choice, or an option that the network does not have.
    """
    from pcgen.models.flow_map import DISTANCE
    from pcgen.models.flow_student import FlowStudent
    from pcgen.objectives.flow_matching import Clock
    from pcgen.ops.ode import Integrator
    from pcgen.recipes import assembly, flow_assembly, networks

    at_least(1, integration_steps=integration_steps, teacher_steps=teacher_steps)
    network = networks.of_points(
        encoder, hidden, layers, neighbours=neighbours, dynamic=dynamic,
        global_channels=global_channels, identity=identity,
    )  # fmt: skip
    points = assembly.points(schema, recentre, rescale, centre=centre, excess=excess, squash=squash)
    return FlowStudent(
        points,
        network.field(points, DISTANCE),
        network.field(points),
        steps=integration_steps,
        clock=Clock(shift),
        coupling=flow_assembly.coupling_of(coupling),
        share=share,
        lesson=Integrator("midpoint", teacher_steps, pace=teacher_pace),
    )


@described
def points_flow_gan(
    encoder: SetEncoder = "epic",
    hidden: int = 64,
    layers: int = 4,
    critic_layers: int = 3,
    penalty: float = 0.1,
    nearness: float = 0.01,
    shift: float = 5.0,
    squash: float | None = 0.75,
    centre: bool = True,
    excess: bool = True,
    global_channels: int | None = None,
    identity: bool | None = None,
    neighbours: int | None = None,
    dynamic: bool | None = None,
    recentre: bool = True,
    rescale: bool = False,
    schema: dict[str, Any] | None = None,
) -> FlowGAN:
    """One-evaluation generator of point sets: the single step of a map, finished by a critic.

    Begun from a trained points-flow-student or -map (--start RUN --start-part field); from scratch
    it is a GAN.
    The game is relativistic, with R1 and R2 by differences (adversarial flow models, arXiv
    2511.22475; R3GAN, arXiv 2501.05441).

    Args:
        encoder: The network: epic, pointnet (DeepSets), edgeconv or attention.
        hidden: Channels of a point inside the network.
        layers: Layers of the network.
        critic_layers: Layers of the critic, a network of the same kind.
        penalty: Factor of R1 and R2.
        nearness: Factor of the squared way from noise to points, which keeps the map the nearest.
        shift: That of the map.

    Raises:
        ArgumentError: an unknown network or choice, or an option that the network does not have.
    """
    from pcgen.models.flow_gan import FlowGAN
    from pcgen.models.flow_map import DISTANCE
    from pcgen.models.gan import Adversary
    from pcgen.objectives.adversarial import RELATIVISTIC
    from pcgen.objectives.flow_matching import Clock
    from pcgen.objectives.penalties import finite_r1_r2
    from pcgen.recipes import assembly, networks

    at_least(0, penalty=penalty)
    network, judge = (
        networks.of_points(
            encoder, hidden, depth, neighbours=neighbours, dynamic=dynamic,
            global_channels=global_channels, identity=identity,
        )
        for depth in (layers, critic_layers)
    )  # fmt: skip
    points = assembly.points(schema, recentre, rescale, centre=centre, excess=excess, squash=squash)
    # Moments of the cloud, behind the channels of its points.
    moments = 0 if points.schema.weight is None else len(points.schema.axes) + 1
    return FlowGAN(
        points,
        network.field(points, DISTANCE),
        judge.encoder(points, 1, moments),
        Adversary(RELATIVISTIC, finite_r1_r2, strength=penalty),
        clock=Clock(shift),
        nearness=nearness,
    )
