"""Images as NumPy arrays, and noise about a pedestal: image_to_cloud outside of torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Grid
from pcgen.images import cloud_to_image, image_to_cloud

GRID = Grid.regular({"x": (0, 1, 3), "y": (0, 1, 2)})
KINDS = ["f4", "f8", ">f4", "i4", "i8", "u1", "u2", ">u4", "u8", "?"]


@given(st.sampled_from(KINDS), st.integers(0, 3), st.booleans())
def test_arrays_give_the_clouds_of_their_tensors(kind: str, number: int, columns: bool) -> None:
    values = np.random.default_rng(number).integers(0, 3, (number, 3, 2)).astype(kind)
    array = np.asfortranarray(values) if columns else values
    clouds = image_to_cloud(array, GRID, label=np.arange(number, dtype="i4"))
    assert np.array_equal(cloud_to_image(clouds, GRID).numpy(), values.astype("f8"))
    assert clouds.label.tolist() == list(range(number))


def test_what_goes_with_an_image_may_be_an_array_too() -> None:
    image, y = np.ones((2, 3, 2)), np.array([[1.0], [2.0]])
    observed = np.array([[True, False], [True, True], [True, True]])
    clouds = image_to_cloud(image, GRID, observed=observed, y=y)
    assert clouds.ptr.tolist() == [0, 5, 10]
    assert clouds.y.tolist() == y.tolist()
    image[:, 0, 1] = np.nan
    assert len(image_to_cloud(image, GRID, observed=observed).pos) == 10


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([[[1.0, 2.0]]], "image: got list, expected a tensor or a NumPy array"),
        (np.array([["a"]]), "image: got <U1, expected"),
        (np.array([{}]), "image: got object, expected"),
        (
            np.ones((2, 3)),
            r"image: got torch.float64 \(2, 3\), expected real numbers \['B', 3, 2\]",
        ),
        (np.ones((1, 3, 2), complex), "image: got torch.complex128"),
        (np.full((1, 3, 2), 2**64 - 1, "u8"), r"image: got 18446744073709551615, expected .*2\^63"),
    ],
)
def test_what_is_no_image_is_an_argument_error(image: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        image_to_cloud(image, GRID)


def test_negative_cells_are_noise_below_a_threshold_only() -> None:
    image = torch.zeros(2, 3, 2)
    image[0, 1, 0], image[1, 2, 1] = -0.3, 7.0
    assert image_to_cloud(image, GRID, threshold=1.0).weight.tolist() == [7.0]
    with pytest.raises(DataError, match=r"event 0, cell \(1, 0\): got -0\.3"):
        image_to_cloud(image, GRID)
    for bad in (torch.nan, torch.inf, -torch.inf):
        image[0, 1, 0] = bad
        with pytest.raises(DataError, match=r"event 0, cell \(1, 0\)"):
            image_to_cloud(image, GRID, threshold=1.0)
