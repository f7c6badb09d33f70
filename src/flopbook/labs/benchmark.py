"""Benchmark the training of a small network on data sets of growing size."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch

from flopbook.labs.data import Split, synthetic
from flopbook.labs.training import Setup, Step, make_step, train
from flopbook.measure.memory import held_bytes, watch_memory

__all__ = ["Benchmark", "Fit", "Setup", "Step", "benchmark", "make_step", "synthetic", "to_json", "train"]

#: Name and version of the JSON form; a field that changes its meaning changes the version.
SCHEMA = "flopbook.benchmark/1"


class Fit(NamedTuple):
    """Tells how well a network fits one part of the data.

    Attributes
    ----------
    mse : float
        Mean squared error, in units of the target's variance in the training
        part.
    r2 : float
        Share of the part's own variance that the network explains.
    """

    mse: float
    r2: float


@dataclass(frozen=True)
class Benchmark:
    """Describes the training on one data set.

    Attributes
    ----------
    samples : int
        Samples of the whole data set: training, validation and test.
    epochs : int
        Epochs that were begun.
    stopped : str
        Why the training ended.
    seconds : float
        Duration of the training, with its validation.
    flops : int
        FLOPs of the contractions of all training steps.
    flop_per_s : float or None
        FLOP/s while steps run, without validation.
    peak_bytes : int
        Most bytes of all tensors during a step: data, parameters, gradients,
        optimizer state, activations.
    validation, test : Fit
        The fit of the best epoch's parameters.
    """

    samples: int
    epochs: int
    stopped: str
    seconds: float
    flops: int
    flop_per_s: float | None
    peak_bytes: int
    validation: Fit
    test: Fit

    def as_dict(self) -> dict[str, Any]:
        """Return the results as JSON can hold them."""
        return {**asdict(self), "validation": self.validation._asdict(), "test": self.test._asdict()}


def benchmark(
    samples: Iterable[int], setup: Setup | None = None, progress: Callable[[str], object] = lambda line: None
) -> list[Benchmark]:
    """Train a new network on each of several data sets.

    Parameters
    ----------
    samples : iterable of int
        Sizes of the data sets.
    setup : Setup, optional
        The network's sizes, and how it is trained.
    progress : callable
        Called with a line of text after each data set.

    Returns
    -------
    list of Benchmark
        The training on each data set.

    Raises
    ------
    TypeError
        If the sizes are not a list.
    ValueError
        If a size is too small to split.

    Examples
    --------
    >>> (result,) = benchmark([200], Setup(hidden=(8,), batch=32, epochs=2))
    >>> result.epochs, result.flops, result.peak_bytes
    (2, 49920, 8868)
    """
    if not isinstance(samples, Iterable):
        raise TypeError(f"samples={samples!r} is not a list of sizes: write benchmark([1_000, 5_000])")
    setup = setup or Setup()
    results = []
    for size in samples:
        results.append(_benchmark(size, setup))
        progress(summary(results[-1]))
    return results


def _benchmark(samples: int, setup: Setup) -> Benchmark:
    parts = synthetic(samples, setup.seed, setup.device)
    step = make_step(setup, parts.train)
    trained = train(step, parts, setup)
    before = held_bytes(list(parts), step.model, step.optimizer)
    peak = before + max(watch_memory(step).peak, 0)
    meter = trained.meter
    fits = [fit(trained.model, part) for part in (parts.validation, parts.test)]
    return Benchmark(
        samples, trained.epochs, trained.stopped, trained.seconds, meter.flops, meter.flop_per_s, peak, *fits
    )


def fit(model: torch.nn.Module, part: Split) -> Fit:
    """Compute error and explained variance of a model on a part of the data."""
    with torch.no_grad():
        mse = (model(part.x) - part.y).square().mean()
        return Fit(mse.item(), (1 - mse / part.y.var(correction=0)).item())


def summary(result: Benchmark) -> str:
    """Write a result in one line for people."""
    return (
        f"{result.samples:>7,} samples: {result.seconds:.1f} s, {result.epochs} epochs ({result.stopped}), "
        f"validation R2 {result.validation.r2:.4f}, test R2 {result.test.r2:.4f}"
    )


def to_json(results: Iterable[Benchmark], setup: Setup) -> str:
    """Write all results as JSON, with the setup and PyTorch's version."""
    content = {
        "schema": SCHEMA,
        "setup": asdict(setup),
        "torch": torch.__version__,
        "results": [result.as_dict() for result in results],
    }
    return json.dumps(content, indent=2)
