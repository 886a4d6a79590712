"""Latent models: the autoencoder first, then frozen, and a prior on whitened codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.autoencoder import Autoencoder, Gaussian
from pcgen.models.base import Phase
from pcgen.models.latent import CodeBook, LatentModel, Prior
from pcgen.models.priors import Mixture
from pcgen.models.representations import Points
from pcgen.models.whitening import Whitening
from pcgen.nn import EPiCEncoder, SetDecoder
from pcgen.objectives.reconstruction import ChamferLoss
from pcgen.schema import Quantity, Schema
from pcgen.testing import clouds_of_schema, random_sizes
from pcgen.training import Optimiser, Reports, train
from pcgen.training.transfer import take

AXES = (Quantity("eta_rel"), Quantity("phi_rel", "rad", 6.0))
JETS = Schema(AXES, Quantity("pt", "GeV"), (), (Quantity("jet_pt", "GeV"),), ("q", "t"))
BARE = Schema(AXES)


class Standard(Prior):
    """The standard normal, which whitened codes already are; with a parameter to train."""

    def __init__(self, code_channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(code_channels))
        self.seen: list[Tensor] = []

    def phases(self, codes: LatentModel) -> Sequence[Phase]:
        def loss(clouds: Batch) -> dict[str, Tensor]:
            code = codes.draw(clouds).code
            assert not code.requires_grad
            return {"square": (code - self.shift).square().mean()}

        def prepare(batches: Iterable[Batch]) -> None:
            self.seen = [codes.encode(clouds).code for clouds in batches]

        return (
            Phase("look", (self,), None, prepare=prepare),
            Phase("shift", (self,), loss, begin=0.5),
        )

    def sample(
        self, condition: Tensor, label: Tensor | None, generator: torch.Generator | None = None
    ) -> Tensor:
        return torch.randn(len(condition), len(self.shift), generator=generator) + self.shift


class Repeated:
    """Batches of clouds in memory: eight events a step, in turn."""

    def __init__(self, clouds: Batch) -> None:
        self.clouds = clouds

    def __call__(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        start = 8 * step % self.clouds.num_graphs
        return cl.select(self.clouds, slice(start, start + 8))

    def all(self) -> Iterable[Batch]:
        return [self(step) for step in range(self.clouds.num_graphs // 8)]


def jets(number: int = 64, schema: Schema = JETS) -> Batch:
    clouds = clouds_of_schema(schema, random_sizes(number, 1, 6))
    return cl.replace(clouds, y=900 + 200 * clouds.y) if schema.condition else clouds


def model(
    prior: Prior | None = None, schema: Schema = JETS, share: float = 0.6, capacity: int = 100
) -> LatentModel:
    see = Points(schema)
    points, condition = see.value_channels, see.condition_channels
    decoder = SetDecoder(
        3,
        len(schema.axes),
        points - len(schema.axes),
        condition_channels=condition,
        hidden=8,
        global_channels=4,
        layers=1,
    )
    autoencoder = Autoencoder(
        see,
        EPiCEncoder(points, 8, hidden=8, global_channels=4, layers=1),
        Gaussian(8, 3),
        decoder,
        {"chamfer": ChamferLoss()},
    )
    book = CodeBook(3, condition, capacity=capacity)
    return LatentModel(
        autoencoder, prior or Standard(3), Whitening(3, condition), book, share=share
    )


def test_the_prior_begins_where_the_autoencoder_ends() -> None:
    phases = {phase.name: phase for phase in model(share=0.6).phases()}
    assert list(phases) == [
        "standardize",
        "cardinality",
        "reconstruction",
        "codes",
        "look",
        "shift",
    ]
    spans = {name: (phase.begin, phase.end) for name, phase in phases.items()}
    assert spans["reconstruction"] == pytest.approx((0.0, 0.6))
    assert spans["codes"][0] == 0.6
    assert spans["shift"] == pytest.approx((0.8, 1.0))


def test_trained_by_the_loop(tmp_path: object) -> None:
    clouds = jets()
    prior = Standard(3)
    latent = model(prior)
    train(
        latent,
        Repeated(clouds),
        folder=f"{tmp_path}/run",
        steps=20,
        optimiser=Optimiser(lr=0.01, schedule="constant", warmup=0, clip=None),
        ema=None,
        reports=Reports(progress=False),
    )
    # Codes are white over the training split, as they were when the prior looked at them.
    code = torch.cat(prior.seen)
    torch.testing.assert_close(code.mean(0), torch.zeros(3), rtol=0, atol=1e-3)
    torch.testing.assert_close(code.T @ code / len(code), torch.eye(3), rtol=0, atol=0.01)
    # The autoencoder is bit for bit what it was then; only the prior has moved.
    torch.testing.assert_close(latent.encode(clouds).code, code, rtol=0, atol=0)
    assert prior.shift.abs().sum() > 0
    generated = latent.sample(label="t", y=1000.0, number=5)
    assert generated.label.tolist() == [1] * 5
    assert generated.y.tolist() == [[1000.0]] * 5
    assert (cl.total(generated) > 0).all()


def test_codes_are_those_of_evaluation_whatever_the_mode() -> None:
    clouds, latent = jets(), model()
    for phase in latent.phases()[:4]:
        if phase.prepare is not None:
            phase.prepare([clouds])
    latent.train()
    first, second = latent.encode(clouds), latent.encode(clouds)
    assert torch.equal(first.code, second.code)
    assert latent.autoencoder.latent.training
    latent.autoencoder.eval()
    latent.encode(clouds)
    assert not latent.autoencoder.training
    assert first.label is not None
    assert torch.equal(first.label, clouds.label)


@pytest.mark.parametrize("capacity", [64, 63])
def test_codes_to_learn_from_are_those_of_the_training_split(capacity: int) -> None:
    clouds, latent = jets(64), model(capacity=capacity)
    for phase in latent.phases()[:4]:
        if phase.prepare is not None:
            phase.prepare([cl.select(clouds, slice(0, 40)), cl.select(clouds, slice(40, 64))])
    assert latent.book.complete == (capacity == 64)
    known, few = latent.encode(clouds), cl.select(clouds, slice(5, 15))
    drawn = latent.draw(few)
    assert drawn.label is not None
    assert known.label is not None
    if not latent.book.complete:
        # Too many to be kept: those of the batch.
        torch.testing.assert_close(drawn.code, latent.encode(few).code)
        assert len(latent.book.code) == len(latent.book.condition) == 0
        return
    assert len(latent.book.code) == 64
    assert len(drawn.code) == 10
    apart = torch.cdist(drawn.code, known.code, compute_mode="donot_use_mm_for_euclid_dist")
    assert apart.min(1).values.max() < 1e-4
    row = apart.argmin(1)
    assert len(row.unique()) > 3
    torch.testing.assert_close(drawn.condition, known.condition[row])
    assert torch.equal(drawn.label, known.label[row])
    # As kept in a checkpoint.
    other = model(capacity=100)
    other.load_state_dict(latent.state_dict())
    torch.manual_seed(1)
    first = latent.draw(few).code
    torch.manual_seed(1)
    assert torch.equal(other.draw(few).code, first)


def test_rows_that_were_stored_of_a_split_that_was_too_large_are_left_out() -> None:
    latent = model(capacity=16)
    state = latent.state_dict()
    for name in ("code", "condition"):
        state[f"book.{name}"] = torch.ones(16, state[f"book.{name}"].shape[1])
    state["book.seen"] = torch.tensor(17)
    latent.load_state_dict(state)
    assert len(latent.book.code) == len(latent.book.condition) == 0
    assert not latent.book.complete


def test_a_mixture_over_clouds_without_weight_condition_or_class() -> None:
    clouds = jets(schema=BARE)
    latent = model(Mixture(3, [0], components=2), BARE)
    for phase in latent.phases():
        if phase.prepare is not None:
            phase.prepare([clouds])
    generated = latent.sample(number=10, generator=torch.Generator().manual_seed(0))
    assert set(cl.attributes(generated)) == {"pos"}
    assert generated.num_graphs == 10
    again = latent.sample(number=10, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.pos, generated.pos)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_the_prior_needs_a_share_of_the_run(share: float) -> None:
    with pytest.raises(ArgumentError, match=f"share: got {share}"):
        model(share=share)


def test_without_a_share_the_autoencoder_must_be_trained_and_stays_as_it_is() -> None:
    latent, clouds = model(share=0.0), jets()
    names = [phase.name for phase in latent.phases()]
    assert names == ["standardize", "cardinality", "codes", "look", "shift"]
    look = latent.phases()[2].prepare
    assert look is not None
    with pytest.raises(ArgumentError, match="share: got 0 for a prior without a trained auto"):
        look([clouds])
    trained = model().autoencoder
    for phase in trained.representation.phases():
        assert phase.prepare is not None
        phase.prepare([clouds])
    take(latent, trained, "autoencoder")
    kept = latent.autoencoder.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in trained.state_dict().items())
    look([clouds])
    owned = {id(p) for phase in latent.phases() for p in phase.parameters() if phase.loss}
    assert not owned & {id(p) for p in latent.autoencoder.parameters()}
