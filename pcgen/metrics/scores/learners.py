"""Classifiers that learn to separate generated events from real ones: boosted trees, perceptron.

A learner is a frozen value with ``fit(training, validation, seed)``: it learns on the first part
and takes the epoch that does best on the second. Whether two sets differ is tested by
:func:`~pcgen.metrics.scores.classifier_test`, on a third part.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from pcgen.nn.mlp import MLP

Labelled = tuple[Tensor, Tensor]
"""Features [N, F] float64 and labels [N] bool, true for generated."""

Criterion = Callable[[Tensor, Tensor], float]
"""How good logits [N] are for labels [N]: larger is better."""


class Learned(NamedTuple):
    """A classifier that has learned.

    Attributes:
        logit: Features [N, F] to log-odds of being generated [N].
        epoch: Epochs (or trees) that it learned for, chosen on the validation part.
        epochs: Epochs (or trees) that it could choose from.
    """

    logit: Callable[[Tensor], Tensor]
    epoch: int
    epochs: int


class Learner(Protocol):
    """What can learn to separate two sets.

    One that learns nothing from few events has their number ``need``, both sides together; see
    :func:`~pcgen.metrics.scores.classifier.events_needed`.
    """

    def fit(self, training: Labelled, validation: Labelled, seed: int) -> Learned:
        """Learn on one part, and choose the best epoch on the other."""


def likelihood(logit: Tensor, label: Tensor) -> float:
    """Mean log-likelihood of the labels."""
    return -binary_cross_entropy_with_logits(logit, label.to(logit.dtype)).item()


def accuracy(logit: Tensor, label: Tensor) -> float:
    """Fraction of labels that are the more probable ones."""
    return ((logit > 0) == label).double().mean().item()


@dataclass(frozen=True)
class BoostedTrees:
    """Histogram gradient boosting (scikit-learn's); needs no scaling and runs on the CPU.

    Attributes:
        trees: Trees at most; the number is chosen on the validation part.
        rate: Learning rate.
        leaves: Leaves of a tree at most.
        least: Events in a leaf at least.
    """

    trees: int = 150
    rate: float = 0.08
    leaves: int = 12
    least: int = 20

    @property
    def need(self) -> int:
        """Events to learn from, of both sides together, below which no tree has two leaves."""
        return 2 * self.least

    def fit(self, training: Labelled, validation: Labelled, seed: int) -> Learned:
        """Grow all trees, and keep the first so many that the validation part likes best."""
        model = HistGradientBoostingClassifier(
            learning_rate=self.rate,
            max_iter=self.trees,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.least,
            early_stopping=False,
            random_state=seed,
        )
        x, label = (value.cpu() for value in training)
        model.fit(x.numpy(), label.numpy())
        y, truth = (value.cpu() for value in validation)
        stages = model.staged_decision_function(y.numpy())
        loss = [likelihood(torch.from_numpy(stage).flatten(), truth) for stage in stages]
        epoch = max(range(len(loss)), key=loss.__getitem__) + 1
        return Learned(partial(_staged, model, epoch), epoch, self.trees)


def _staged(model: HistGradientBoostingClassifier, epoch: int, x: Tensor) -> Tensor:
    """Log-odds [N] by the first ``epoch`` trees."""
    stages = model.staged_decision_function(x.cpu().numpy())
    chosen = next(stage for k, stage in enumerate(stages, 1) if k == epoch)
    return torch.from_numpy(chosen).flatten()


@dataclass(frozen=True)
class Perceptron:
    """A multi-layer perceptron trained by Adam on the cross-entropy.

    Attributes:
        hidden: Width of each hidden layer.
        epochs: Passes over the training part.
        rate: Learning rate.
        batch: Events in a step.
        slope: Of the leaky ReLU.
        standardise: Whether features are shifted and scaled by the training part's moments.
        criterion: What the best epoch maximises on the validation part.
        dtype: Of the weights.
        device: Where it learns.
    """

    hidden: tuple[int, ...] = (128, 128)
    epochs: int = 50
    rate: float = 1e-3
    batch: int = 256
    slope: float = 0.01
    standardise: bool = True
    criterion: Criterion = likelihood
    dtype: torch.dtype = torch.float32
    device: str | torch.device = "cpu"

    def fit(self, training: Labelled, validation: Labelled, seed: int) -> Learned:
        """Learn for all epochs; the weights of the best one are kept (the first among equals)."""
        x, label = (value.to(self.device) for value in training)
        shift, scale = torch.zeros_like(x[0]), torch.ones_like(x[0])
        if self.standardise:
            shift, scale = x.mean(0), x.std(0)
            scale = torch.where(scale > 0, scale, 1.0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            activation = partial(nn.LeakyReLU, self.slope)
            net = MLP(x.shape[1], self.hidden, 1, activation=activation)
        net = net.to(self.device, self.dtype)
        logit = partial(_logit, net, shift, scale)
        optimiser = torch.optim.Adam(net.parameters(), lr=self.rate)
        generator = torch.Generator().manual_seed(seed)
        y, truth = (value.to(self.device) for value in validation)
        best, epoch, weights = float("-inf"), 0, net.state_dict()
        for k in range(1, self.epochs + 1):
            for index in torch.randperm(len(x), generator=generator).split(self.batch):
                index = index.to(x.device)
                target = label[index].to(self.dtype)
                loss = binary_cross_entropy_with_logits(logit(x[index]), target)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            with torch.no_grad():
                value = self.criterion(logit(y), truth)
            if value > best:
                best, epoch, weights = value, k, copy.deepcopy(net.state_dict())
        net.load_state_dict(weights)
        return Learned(torch.no_grad()(logit), epoch, self.epochs)


def _logit(net: nn.Module, shift: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    """Log-odds [N] of features [N, F]."""
    dtype = next(net.parameters()).dtype
    return net(((x.to(shift.device) - shift) / scale).to(dtype)).squeeze(1)


def calochallenge_classifier(device: str | torch.device = "cpu") -> Perceptron:
    """The classifier of the CaloChallenge (arXiv 2410.21611): its evaluation code's settings.

    An input layer and ``cls_n_layer`` = 2 further ones of 2,048, so three hidden layers; leaky
    ReLU of slope 0.01, no dropout, Adam at 2e-4, batches of 1,000, 50 epochs, double precision,
    features as they come, best epoch by accuracy on one fifth of the events. That code calls this
    fifth the test part and reports its scores on the other, as
    :func:`~pcgen.metrics.scores.classifier_test` does; it differs in that its split has no seed.
    The AUC that it prints last is the calibrated one, and its divergence that of ``margin=1e-6``.
    """
    return Perceptron(
        hidden=(2048, 2048, 2048),
        epochs=50,
        rate=2e-4,
        batch=1000,
        slope=0.01,
        standardise=False,
        criterion=accuracy,
        dtype=torch.float64,
        device=device,
    )
