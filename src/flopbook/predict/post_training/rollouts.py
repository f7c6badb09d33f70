"""Predict what a model takes to read prompts, to write responses, to score them and to be trained on them.

A *rollout* is a prompt with a response that a model wrote. What a phase takes follows from the model's forward and
backward pass, as a `Model` has them, in the letters B (sequences), T (tokens of each), S (the keys that a token meets)
and A (the tokens of each sequence whose output is asked for). A model without one of these letters does not depend on
it.
"""

from dataclasses import dataclass

import sympy
from sympy import Expr, Integer

from flopbook.predict.axes import B, S, T, axis
from flopbook.predict.models.attention import causal
from flopbook.predict.models.model import Model
from flopbook.predict.post_training.models import check_choices, check_models
from flopbook.predict.post_training.phases import Phase
from flopbook.predict.values import number

__all__ = ["Rollouts"]

A, P, R = map(axis, "APR")


@dataclass(frozen=True)
class Rollouts:
    """Says how many prompts and responses there are, and how long each is.

    Parameters
    ----------
    prompts : sympy.Expr or int
        Of a step.
    samples : sympy.Expr or int
        Responses to each prompt.
    prompt, response : sympy.Expr or int
        Tokens of each. Shorter ones that are padded count like the longest.
    cache : sympy.Expr or int
        Numbers that a token leaves in the model that writes: keys and values of all layers. For :meth:`Phase.seconds`.
    at_once : sympy.Expr or int, optional
        Responses that are written side by side, so that the weights are read once for all of their next tokens: all,
        unless told otherwise.
    shared : bool
        Whether a prompt is read once, and not once for each of its responses, before they are written.
    needed : bool
        Whether attention counts as a causal mask leaves it where whole sequences run. Otherwise it counts dense: every
        token with every token of the sequence.

    Raises
    ------
    TypeError, ValueError
        If a size is neither a whole number nor an expression, or a choice neither True nor False; quotes it.

    Examples
    --------
    >>> Rollouts(prompts=16, samples=64, prompt=100, response=924).sequences
    1024
    """

    prompts: Expr | int = B
    samples: Expr | int = 1
    prompt: Expr | int = P
    response: Expr | int = R
    cache: Expr | int = 0
    at_once: Expr | int | None = None
    shared: bool = False
    needed: bool = False

    def __post_init__(self):
        for name in ("prompts", "samples", "prompt", "response"):
            object.__setattr__(self, name, number(name, getattr(self, name), least=1))
        object.__setattr__(self, "cache", number("cache", self.cache))
        if self.at_once is not None:
            object.__setattr__(self, "at_once", number("at_once", self.at_once, least=1))
        check_choices(shared=self.shared, needed=self.needed)

    @property
    def sequences(self) -> Expr:
        """Return how many responses there are in all."""
        return self.prompts * self.samples

    @property
    def tokens(self) -> Expr:
        """Return the tokens of a prompt and its response together."""
        return self.prompt + self.response

    def score(self, name: str, model: Model, asked: Expr | None = None) -> Phase:
        """Predict one forward pass over prompts and responses, asked at each token of the response unless told."""
        check_models(model=model)
        return Phase(name, "score", self._whole(model.forward, asked), model.parameters)

    def train(self, name: str, model: Model, epochs: Expr) -> Phase:
        """Predict the training on prompts and responses; weights are read twice and their gradients written."""
        check_models(model=model)
        return Phase(name, "train", epochs * self._whole(model.forward + model.backward), 3 * epochs * model.parameters)

    def write(self, name: str, model: Model) -> tuple[Phase, Phase]:
        """Predict how responses are written: the prompt in one pass, then a pass for each token but the last.

        The last token is not read again. A pass of one token meets the keys of all before it and its own, so that all
        of them together take what a causal mask leaves of one pass over the whole, less that of the prompt. A model
        that decodes by other products than it trains by, such as absorbed ones of latents, takes other FLOPs.
        """
        check_models(model=model)
        readers = self.prompts if self.shared else self.sequences
        last = self.tokens - 1
        reading = _at(model.forward, readers, self.prompt, self._keys(self.prompt), Integer(1))
        writing = _causal(model, self.sequences, last, self.response - 1)
        writing -= _causal(model, self.sequences, self.prompt, Integer(0))
        groups = Integer(1) if self.at_once is None else sympy.ceiling(self.sequences / self.at_once)
        met = self.sequences * self.cache * (causal(last) - causal(self.prompt))
        return (
            Phase(name, "prefill", reading, model.parameters),
            Phase(name, "decode", sympy.factor(writing), groups * (self.response - 1) * model.parameters + met),
        )

    def _whole(self, passes: Expr, asked: Expr | None = None) -> Expr:
        return _at(passes, self.sequences, self.tokens, self._keys(self.tokens), asked or self.response)

    def _keys(self, tokens: Expr) -> Expr:
        return causal(tokens) / tokens if self.needed else tokens


def _at(passes: Expr, sequences: Expr, tokens: Expr, keys: Expr, asked: Expr) -> Expr:
    """Put sizes in for the letters of a pass, all at once, since the sizes may have the same letters."""
    return passes.xreplace({B: sequences, T: tokens, S: keys, A: asked})


def _causal(model: Model, sequences: Expr, tokens: Expr, asked: Expr) -> Expr:
    return _at(model.forward, sequences, tokens, causal(tokens) / tokens, asked)
