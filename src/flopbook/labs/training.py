"""Train a small network, and stop when it does not improve."""

from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn

from flopbook.labs.data import Parts, Split
from flopbook.measure.meter import FlopMeter
from flopbook.measure.timing import now


@dataclass(frozen=True)
class Setup:
    """Describes a network, and how it is trained.

    Attributes
    ----------
    hidden : tuple of int
        Widths of the hidden layers; () is a linear model.
    batch : int
        Samples of each step.
    learning_rate : float
        Learning rate of AdamW.
    epochs : int
        Most epochs to train.
    patience : int
        How many epochs in a row without a better validation error end the
        training.
    seconds : float
        Most seconds of the training on one data set.
    device : str
        Such as ``cpu`` or ``cuda``.
    seed : int
        Seed of data, parameters and the order of samples.

    Raises
    ------
    ValueError
        If a width, the batch, the epochs or the patience is not a whole number of 1 or more.
    """

    hidden: tuple[int, ...] = (64, 64, 64)
    batch: int = 256
    learning_rate: float = 5e-3
    epochs: int = 150
    patience: int = 20
    seconds: float = 8.0
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch", "epochs", "patience"):
            if not _is_whole(getattr(self, name)):
                raise ValueError(f"{name}={getattr(self, name)!r}: give a whole number, 1 or more")
        if not isinstance(self.hidden, (tuple, list)) or not all(map(_is_whole, self.hidden)):
            raise ValueError(f"hidden={self.hidden!r}: give each layer 1 unit or more, as in (64, 64), or () for none")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


class Step:
    """Runs one training step on a batch; without an argument, always on the same one.

    Attributes
    ----------
    model : Sequential
        Linear layers with SiLU between them.
    optimizer : AdamW
        The optimizer of all the model's parameters.
    """

    def __init__(self, model: nn.Sequential, optimizer: torch.optim.Optimizer, batch: Split):
        self.model, self.optimizer, self._batch = model, optimizer, batch

    def __call__(self, batch: Split | None = None) -> None:
        x, y = batch or self._batch
        self.optimizer.zero_grad()
        nn.functional.mse_loss(self.model(x), y).backward()
        self.optimizer.step()


def make_step(setup: Setup, part: Split) -> Step:
    """Make a new network with its optimizer, and the first batch of a data set.

    Examples
    --------
    >>> from flopbook.labs.data import synthetic
    >>> step = make_step(Setup(), synthetic(1000).train)
    >>> sum(parameter.numel() for parameter in step.model.parameters())
    8769
    """
    torch.manual_seed(setup.seed)
    widths = (part.x.shape[1], *setup.hidden, part.y.shape[1])
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.SiLU()]
    model = nn.Sequential(*layers[:-1]).to(setup.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=setup.learning_rate)
    return Step(model, optimizer, Split(part.x[: setup.batch].clone(), part.y[: setup.batch].clone()))


class Trained(NamedTuple):
    """Holds a trained model, and how its training went."""

    model: nn.Sequential
    epochs: int
    stopped: str
    seconds: float
    meter: FlopMeter


def train(step: Step, parts: Parts, setup: Setup) -> Trained:
    """Run epochs until the validation error stops improving, and restore the best parameters."""
    started, meter = now(), FlopMeter()
    best, waited, epoch, stopped = float("inf"), 0, 0, f"all {setup.epochs} epochs"
    state = deepcopy(step.model.state_dict())
    while epoch < setup.epochs:
        epoch += 1
        complete = _run_epoch(step, parts.train, setup, meter, until=started + setup.seconds)
        with torch.no_grad():
            error = nn.functional.mse_loss(step.model(parts.validation.x), parts.validation.y).item()
        waited += 1
        if error < best:
            best, waited, state = error, 0, deepcopy(step.model.state_dict())
        if not complete:
            stopped = f"{setup.seconds:g} s are over"
            break
        if waited >= setup.patience:
            stopped = f"no better for {setup.patience} epochs"
            break
    step.model.load_state_dict(state)
    return Trained(step.model, epoch, stopped, now() - started, meter)


def _run_epoch(step: Step, part: Split, setup: Setup, meter: FlopMeter, until: float) -> bool:
    """Train on each sample once, in random order; return whether time was enough."""
    order = torch.randperm(len(part.x)).to(part.x.device)
    for chosen in order.split(setup.batch):
        if now() > until:
            return False
        batch = Split(part.x[chosen], part.y[chosen])
        with meter(*batch):
            step(batch)
    return True
