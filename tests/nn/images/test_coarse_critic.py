"""A critic of active sites that also reads the sums over windows: every cell passes a gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn import ImageEncoder, SiteReading


def coarse(*, also: bool = True) -> ImageEncoder:
    torch.manual_seed(0)
    return ImageEncoder(
        (16, 12), 1, SiteReading(), channels=3, hidden=5, continuous=True, coarse=also
    )


def slope(encoder: nn.Module, image: Tensor) -> Tensor:
    image = image.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(encoder(image).sum(), image, materialize_grads=True)
    return gradient[:, 0]


def test_every_cell_of_a_coarse_critic_passes_a_gradient() -> None:
    """At active sites alone a cell that is far from all filled ones passes none."""
    image = torch.zeros(2, 1, 16, 12)
    image[0, 0, 2, 3] = 1.5  # the second is empty
    near = slope(coarse(also=False), image) != 0
    assert near[0].any()
    assert not near[0, 6:].any()
    assert not near[1].any()
    assert bool((slope(coarse(), image) != 0).all())


def test_a_coarse_critic_adds_a_function_of_the_sums_over_windows() -> None:
    net, image = coarse(), torch.rand(3, 1, 16, 12)
    windows = image.reshape(3, 4, 4, 3, 4).sum((2, 4)).flatten(1) / 4  # of 16 cells
    without = coarse(also=False)
    without.load_state_dict({k: v for k, v in net.state_dict().items() if "coarse" not in k})
    torch.testing.assert_close(net(image), without(image) + net.coarse(windows))


def test_a_coarse_critic_takes_the_parameters_of_one_that_was_not() -> None:
    old, new, image = coarse(also=False), coarse(), torch.rand(3, 1, 16, 12)
    new.load_state_dict(old.state_dict())
    torch.testing.assert_close(new(image), old(image))


def test_coarse_is_refused_where_there_is_no_whole_image() -> None:
    with pytest.raises(ArgumentError, match="coarse: got True with 2 channels and 1 axes"):
        ImageEncoder((8,), 1, SiteReading(), in_channels=2, coarse=True)
    with pytest.raises(ArgumentError, match="coarse: got True with 1 channels and 4 axes"):
        ImageEncoder((4, 4, 4, 4), 1, SiteReading(), coarse=True)
    with pytest.raises(ArgumentError, match="event: got clouds, expected images"):
        coarse()(
            pc.make(
                torch.zeros(1, 2),
                [1],
                x=torch.ones(1, 1),
                cell=torch.zeros(1, 2, dtype=torch.int64),
            )
        )
