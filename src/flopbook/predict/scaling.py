"""Predict how to spend a budget of FLOPs: a loss that falls with parameters and with tokens, and its minimum.

N is parameters, D the tokens of training, S the tokens that the model is asked for afterwards, C the FLOPs. A token of
training takes 6N, a token of use 2N: what parameters that are operands of a product take, without attention.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import exp, isfinite, log
from typing import Any, NamedTuple

from sympy import Expr

from flopbook.checks import is_number, one_of, positive, quoted

__all__ = [
    "ALLOCATIONS",
    "LAWS",
    "THRESHOLDS",
    "Allocation",
    "Law",
    "Run",
    "modifier_threshold",
    "published_law",
    "thresholds_above",
]

_LARGEST = 1e60  # parameters, tokens and FLOPs stay below, so that powers of them are numbers of the machine
_FAR = 138.0  # a little less than the logarithm of that: where a search ends


def _is_open(value: object) -> bool:
    """Tell whether a value is made of letters."""
    return isinstance(value, Expr) and not value.is_number


def _check(**given: object) -> None:
    for name, value in given.items():
        if _is_open(value):
            continue
        positive(name, value)
        if not isfinite(float(value)) or float(value) > _LARGEST:  # type: ignore[arg-type]  # a number
            raise ValueError(f"{name}={quoted(value)} is out of range: write a number of at most {_LARGEST:g}")


def _check_served(served: object) -> None:
    if not is_number(served) or not 0 <= served <= _LARGEST:
        raise ValueError(f"served={quoted(served)} is out of range: write 0, or a number of tokens")


@dataclass(frozen=True)
class Run:
    """Counts what a model is, is trained on, and is asked for.

    Attributes
    ----------
    parameters, tokens : number or Expr
        N, and D of the training.
    served : number or Expr
        S, the tokens that the trained model reads or writes in use.

    Raises
    ------
    ValueError
        If there are no parameters, or something else is a negative number or none; quotes it.

    Examples
    --------
    >>> chinchilla = Run(parameters=70 * 10**9, tokens=14 * 10**11)
    >>> chinchilla.training, chinchilla.tokens_per_parameter
    (588000000000000000000000, 20.0)
    >>> from flopbook.predict import N, S, axis
    >>> Run(N, axis("D"), S).total
    6*D*N + 2*N*S
    """

    parameters: Any
    tokens: Any
    served: Any = 0

    def __post_init__(self):
        for name, value in vars(self).items():
            if not _is_open(value) and not (name != "parameters" and is_number(value) and value == 0):
                positive(name, value)

    @property
    def training(self) -> Any:
        """The FLOPs of the training, 6ND."""
        return 6 * self.parameters * self.tokens

    @property
    def serving(self) -> Any:
        """The FLOPs of the use, 2NS."""
        return 2 * self.parameters * self.served

    @property
    def total(self) -> Any:
        """The FLOPs of both."""
        return self.training + self.serving

    @property
    def tokens_per_parameter(self) -> Any:
        """The ratio D/N."""
        return self.tokens / self.parameters


@dataclass(frozen=True)
class Law:
    """Describes a loss as E + A/N**a + B/D**b, of N parameters and D tokens.

    Attributes
    ----------
    E : number or Expr
        The loss that no size and no data remove; 0 or more.
    A, B, a, b : number or Expr
        How much is left for want of parameters and of tokens, and how fast that falls; all positive.
    source : str
        Where the numbers stand.

    Raises
    ------
    ValueError
        If E is a negative number, or another is not a positive one; quotes it.

    Examples
    --------
    >>> law = LAWS["Hoffmann, rounded"]
    >>> round(law.loss(70e9, 1.4e12), 3)
    1.937
    >>> best = law.optimum(6 * 70e9 * 1.4e12)
    >>> f"{best.parameters:.3g} {best.tokens:.3g}"
    '3.25e+10 3.02e+12'
    """

    E: Any
    A: Any
    B: Any
    a: Any
    b: Any
    source: str = ""

    def __post_init__(self):
        for name in "AEBab":
            value = getattr(self, name)
            if not _is_open(value) and not (name == "E" and is_number(value) and value == 0):
                positive(name, value)

    def loss(self, parameters: Any, tokens: Any) -> Any:
        """Predict the loss.

        Parameters
        ----------
        parameters, tokens : number or Expr
            N and D.

        Raises
        ------
        ValueError
            If one is not a positive number.
        """
        _check(parameters=parameters, tokens=tokens)
        return self.E + self.A / parameters**self.a + self.B / tokens**self.b

    def optimum(self, budget: Any, served: float = 0) -> Run:
        """Find the run of the least loss, of all whose training and use take a budget of FLOPs.

        Parameters
        ----------
        budget : number or Expr
            C, of training alone, or of training and use where tokens are served.
        served : number
            S.

        Returns
        -------
        Run
            Numbers; expressions, if the budget or the law has letters, and nothing is served.

        Raises
        ------
        ValueError
            If the budget is not a positive number, the served tokens are a negative one, or letters meet tokens served.

        Notes
        -----
        Hoffmann and others, *Training Compute-Optimal Large Language Models* (2022), equation 4, where nothing is
        served. Derived in the lecture *Scaling laws and budgets*.

        Examples
        --------
        >>> law = Law(E=0, A=1, B=1, a=0.5, b=0.5)
        >>> law.optimum(6e8)
        Run(parameters=10000.0, tokens=10000.0, served=0)
        >>> served = law.optimum(6e8, served=1e5)
        >>> round(served.parameters), round(served.tokens), round(served.total)
        (1981, 17155, 600000000)
        """
        _check(budget=budget)
        _check_served(served)
        if not served:
            balance = (self.a * self.A / (self.b * self.B)) ** (1 / (self.a + self.b))
            half = budget / 6
            return Run(balance * half ** (self.b / (self.a + self.b)), half ** (self.a / (self.a + self.b)) / balance)
        self._refuse_letters(budget)
        return self._balanced(lambda run: run.total - budget, served)

    def cheapest(self, loss: float, served: float = 0) -> Run:
        """Find the run of the fewest FLOPs, of training and use together, of all that reach a loss.

        Parameters
        ----------
        loss : number
            Above E.
        served : number
            S.

        Raises
        ------
        ValueError
            If no run reaches the loss, the served tokens are a negative number, or the law has letters.

        Notes
        -----
        Sardana and others, *Beyond Chinchilla-Optimal: Accounting for Inference in Language Model Scaling Laws*
        (2023), which asks for the same minimum.

        Examples
        --------
        >>> law = LAWS["Besiroglu"]
        >>> few, many = (law.cheapest(2.0, served=served) for served in (0, 1e13))
        >>> few.parameters > many.parameters, few.tokens < many.tokens
        (True, True)
        """
        _check_served(served)
        self._refuse_letters(loss)
        self._check_reachable(loss)
        return self._balanced(lambda run: loss - self.loss(run.parameters, run.tokens), served)

    def tokens_for(self, loss: float, parameters: float) -> float:
        """Predict the tokens that a model of N parameters needs to reach a loss.

        Parameters
        ----------
        loss : number
            Above what the model reaches with any number of tokens.
        parameters : number
            N.

        Raises
        ------
        ValueError
            If no number of tokens is enough; says what is out of reach.

        Examples
        --------
        >>> law = LAWS["Besiroglu"]
        >>> round(law.tokens_for(law.loss(7e9, 2e12), 7e9) / 1e12, 6)
        2.0
        """
        _check(parameters=parameters)
        self._refuse_letters(loss, parameters)
        self._check_reachable(loss)
        least = self.E + self.A / parameters**self.a
        if loss <= least:
            raise ValueError(
                f"loss={quoted(loss)} is out of reach of {parameters:.3g} parameters, which stay above {least:.4g} "
                "with any number of tokens: give more parameters, or a higher loss"
            )
        return (self.B / (loss - least)) ** (1 / self.b)

    def _balanced(self, excess: Callable[[Run], float], served: float) -> Run:
        """Search the runs at which nothing is gained by moving FLOPs between N and D.

        There a·A/N**a is b·B/D**b times 1 + S/(3D), so that N follows from D, and both grow together: `excess` changes
        its sign once.
        """

        def run(log_tokens: float) -> Run:
            tokens = exp(log_tokens)
            by_tokens = self.b * self.B / tokens**self.b * (1 + served / (3 * tokens))
            log_parameters = log(self.a * self.A / by_tokens) / self.a
            return Run(exp(min(max(log_parameters, -_FAR), _FAR)), tokens, served)

        if excess(run(0.0)) > 0:
            raise ValueError("less than one token would be needed: give a larger budget, or a lower loss")
        if excess(run(_FAR)) <= 0:
            raise ValueError(f"more than {_LARGEST:g} tokens would be needed: give a smaller budget, or a higher loss")
        low, high = 0.0, _FAR
        while low < (middle := (low + high) / 2) < high:  # to the last bit
            low, high = (low, middle) if excess(run(middle)) > 0 else (middle, high)
        return run(low)

    def _check_reachable(self, loss: float) -> None:
        if not is_number(loss) or loss <= self.E:
            raise ValueError(f"loss={quoted(loss)} is out of reach: give a number above E={quoted(self.E)}")

    def _refuse_letters(self, *given: Any) -> None:
        for value in (self.E, self.A, self.B, self.a, self.b, *given):
            if isinstance(value, Expr):
                raise ValueError(f"{quoted(value)} is not a number: what is served or searched for needs numbers")


class Allocation(NamedTuple):
    """Gives the exponents with which parameters and tokens grow at the optimum: N as C**parameters, D as C**tokens."""

    parameters: float
    tokens: float


_HOFFMANN = "Hoffmann and others, Training Compute-Optimal Large Language Models (2022)"

#: Laws that people published, by who did. Hoffmann's constants are rounded in the text; those with more digits are in
#: the source of the paper, from which Besiroglu and others took them.
LAWS = {
    "Hoffmann, rounded": Law(1.69, 406.4, 410.7, 0.34, 0.28, f"{_HOFFMANN}, appendix D.2"),
    "Hoffmann, unrounded": Law(
        exp(0.5267228), exp(6.0073404), exp(6.0179186), 0.33917084, 0.2849083, "data_analysis.ipynb of Besiroglu"
    ),
    "Besiroglu": Law(
        1.8172,
        482.01,
        2085.43,
        0.3478,
        0.3658,
        "Besiroglu and others, Chinchilla Scaling: A replication attempt (2024)",
    ),
}

#: Exponents that people published, by approach: Hoffmann's table 2, which has Kaplan's, too.
ALLOCATIONS = {
    "Kaplan": Allocation(0.73, 0.27),
    "Hoffmann 1, training curves": Allocation(0.50, 0.50),
    "Hoffmann 2, isoFLOP": Allocation(0.49, 0.51),
    "Hoffmann 3, parametric": Allocation(0.46, 0.54),
}


def published_law(name: str) -> Law:
    """Return a law of `LAWS`.

    Parameters
    ----------
    name : str
        Such as ``"Besiroglu"``.

    Raises
    ------
    TypeError, ValueError
        If the name is not text, or not known; suggests one that is spelt alike.

    Examples
    --------
    >>> published_law("Besiroglu").a
    0.3478
    """
    return LAWS[one_of("law", name, LAWS)]


#: FLOPs of training above which a model falls under a rule of the European Union. Regulation (EU) 2024/1689,
#: article 51, and the guidelines of the European Commission of July 2025, where the first is one of two signs.
THRESHOLDS = {"general purpose": 10**23, "systemic risk": 10**25}


def thresholds_above(flops: float) -> tuple[str, ...]:
    """Name the thresholds of the European Union that a training lies above.

    Parameters
    ----------
    flops : number
        All that the training took, its phases added up.

    Raises
    ------
    ValueError
        If it is not a positive number.

    Examples
    --------
    >>> thresholds_above(6 * 70 * 10**9 * 14 * 10**11)
    ('general purpose',)
    >>> thresholds_above(10**23), thresholds_above(38 * 10**24)
    ((), ('general purpose', 'systemic risk'))
    """
    positive("flops", flops)
    exact = not isinstance(flops, float)  # 1e25 is a little more than 10**25
    return tuple(name for name, least in THRESHOLDS.items() if flops > (least if exact else float(least)))


def modifier_threshold(original: float | None = None, *, systemic_risk: bool = False) -> Fraction:
    """Work out the FLOPs above which whoever changes a model becomes the provider of a new one.

    Parameters
    ----------
    original : number, optional
        FLOPs of the original training; None where nobody knows them.
    systemic_risk : bool
        Whether the original is a model with systemic risk, where its FLOPs are not known.

    Returns
    -------
    Fraction
        A third of the original, or of the threshold that it lies above.

    Raises
    ------
    TypeError, ValueError
        If the original is not a positive number, or the other is neither True nor False.

    Notes
    -----
    Guidelines of the European Commission, July 2025.

    Examples
    --------
    >>> modifier_threshold(9 * 10**23)
    Fraction(300000000000000000000000, 1)
    >>> 3 * modifier_threshold() == 10**23
    True
    """
    if not isinstance(systemic_risk, bool):
        raise TypeError(f"systemic_risk={quoted(systemic_risk)} is neither True nor False: give one of them")
    if original is None:
        return Fraction(THRESHOLDS["systemic risk" if systemic_risk else "general purpose"], 3)
    positive("original", original)
    return Fraction(original) / 3
