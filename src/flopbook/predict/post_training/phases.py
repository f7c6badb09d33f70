"""Hold what a phase of a step takes: one model reads, writes, scores or is trained."""

from dataclasses import dataclass

import sympy
from sympy import Expr

from flopbook.checks import one_of, positive

__all__ = ["Phase", "PostTraining"]

_WORKS = ("prefill", "decode", "score", "train")


@dataclass(frozen=True)
class Phase:
    """Describes a phase of a step: one model does one kind of work.

    Attributes
    ----------
    model : str
        Such as ``policy``.
    work : str
        ``prefill`` reads the prompts, ``decode`` writes the responses token by token, ``score`` runs forward over
        prompts and responses, ``train`` runs forward and backward.
    flops : sympy.Expr
        Of its products.
    numbers : sympy.Expr
        The weights, and in decoding also the keys and values, that have to be read from memory at least, or written:
        the gradients of what is trained.
    """

    model: str
    work: str
    flops: Expr
    numbers: Expr

    def __str__(self) -> str:
        return f"{self.model}: {self.work}"

    def seconds(self, peak_flop_per_s: float, bytes_per_s: float, bytes_per_number: float = 2) -> Expr:
        """Predict the least seconds that a device's peak and bandwidth allow: whichever takes longer.

        Raises
        ------
        ValueError
            If one of the three is not a positive number; quotes it.

        Examples
        --------
        >>> from flopbook.predict.post_training import Rollouts, rule_of_six, supervised
        >>> (training,) = supervised(rule_of_six(10**9), Rollouts(prompts=4, prompt=500, response=500)).phases
        >>> training.seconds(peak_flop_per_s=1e15, bytes_per_s=1e12)
        3/125
        """
        given = dict(peak_flop_per_s=peak_flop_per_s, bytes_per_s=bytes_per_s, bytes_per_number=bytes_per_number)
        for name, rate in given.items():
            positive(name, rate)
        peak, bandwidth, width = map(sympy.Rational, given.values())  # so that the seconds are exact
        return sympy.Max(self.flops / peak, self.numbers * width / bandwidth)


@dataclass(frozen=True)
class PostTraining:
    """Holds the phases of one step, in the order in which they run."""

    phases: tuple[Phase, ...]

    @property
    def flops(self) -> Expr:
        """Add up the FLOPs of all phases."""
        return sympy.Add(*(phase.flops for phase in self.phases))

    def of(self, *works: str) -> Expr:
        """Add up the FLOPs of the phases that do this work.

        Raises
        ------
        ValueError
            If a kind of work is not known; quotes it.

        Examples
        --------
        >>> from flopbook.predict.post_training import dpo, rule_of_six
        >>> dpo(rule_of_six(), rule_of_six()).of("score")
        4*B*N*(P + R)
        """
        for work in works:
            one_of("work", work, _WORKS)
        return sympy.Add(*(phase.flops for phase in self.phases if phase.work in works))

    def __repr__(self) -> str:
        return "\n".join(f"{phase}: {phase.flops} FLOPs" for phase in self.phases)
