"""Make a regression problem in five dimensions from a seed."""

from typing import NamedTuple

import torch
from torch import Tensor

_FEWEST = 10  # samples that can be split in three


class Split(NamedTuple):
    """Holds features x [samples, 5] and targets y [samples, 1]."""

    x: Tensor
    y: Tensor


class Parts(NamedTuple):
    """Holds the three parts of a data set."""

    train: Split
    validation: Split
    test: Split


def synthetic(samples: int, seed: int = 0, device: str = "cpu") -> Parts:
    """Make Friedman's first problem with noise, split 60 : 20 : 20.

    The target is 10 sin(πx₁x₂) + 20(x₃ − ½)² + 10x₄ + 5x₅, with features
    uniform in [0, 1], and noise of 4% of its standard deviation. Features are
    then scaled so that their distribution has mean 0 and variance 1, targets so
    that their training part has.

    Parameters
    ----------
    samples : int
        Number of samples, 10 or more.
    seed : int
        Equal seeds give equal data.
    device : str
        The device to put them on.

    Raises
    ------
    ValueError
        If the number of samples is not a whole number, or too small to split.

    Notes
    -----
    Friedman, *Multivariate Adaptive Regression Splines*, The Annals of
    Statistics 19 (1991).

    Examples
    --------
    >>> parts = synthetic(1000)
    >>> [len(part.x) for part in parts]
    [600, 200, 200]
    """
    if not isinstance(samples, int) or samples < _FEWEST:
        raise ValueError(f"samples={samples!r}: give {_FEWEST} or more, so that each of three parts has some")
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(samples, 5, generator=generator)
    noise = torch.randn(samples, generator=generator)
    clean = 10 * (torch.pi * x[:, 0] * x[:, 1]).sin() + 20 * (x[:, 2] - 0.5).square() + 10 * x[:, 3] + 5 * x[:, 4]
    y = clean + 0.04 * clean.std() * noise
    first, second = 3 * samples // 5, 4 * samples // 5
    y = ((y - y[:first].mean()) / y[:first].std(correction=0)).unsqueeze(1)
    x = (x - 0.5) * 12**0.5
    bounds = ((0, first), (first, second), (second, samples))
    return Parts(*(Split(x[start:end].to(device), y[start:end].to(device)) for start, end in bounds))
