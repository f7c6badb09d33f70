"""Predict what a step of post-training takes: a sum of phases, each of one model that writes, scores or is trained.

A *rollout* is a prompt with a response that a model wrote. What a phase takes follows from the model's forward and
backward pass, as a `Model` has them, in the letters B (sequences), T (tokens of each), S (the keys that a token meets)
and A (the tokens of each sequence whose output is asked for). A model without one of these letters does not depend on
it.
"""

from dataclasses import dataclass, replace

import sympy
from sympy import Expr, Integer

from flopbook.checks import one_of, positive, quoted
from flopbook.predict.axes import B, D, L, N, S, T, V, axis
from flopbook.predict.models.adapters import lora
from flopbook.predict.models.attention import causal
from flopbook.predict.models.model import Model
from flopbook.predict.models.transformer import (
    attention_part,
    decoder_block,
    embedding,
    feed_forward_part,
    output_layer,
    tables,
)
from flopbook.predict.pointwise import elements
from flopbook.predict.steps import flops
from flopbook.predict.values import number

__all__ = [
    "Phase",
    "PostTraining",
    "Rollouts",
    "adapted_decoder",
    "asked_decoder",
    "distillation",
    "dpo",
    "grpo",
    "ppo",
    "rejection_sampling",
    "rule_of_six",
    "supervised",
]

A, P, R = axis("A"), axis("P"), axis("R")


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
        >>> dpo(rule_of_six(), rule_of_six()).of("score")
        4*B*N*(P + R)
        """
        for work in works:
            one_of("work", work, _WORKS)
        return sympy.Add(*(phase.flops for phase in self.phases if phase.work in works))

    def __repr__(self) -> str:
        return "\n".join(f"{phase}: {phase.flops} FLOPs" for phase in self.phases)


_WORKS = ("prefill", "decode", "score", "train")


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
        _choices(shared=self.shared, needed=self.needed)

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
        _check(self, model=model)
        return Phase(name, "score", self._whole(model.forward, asked), model.parameters)

    def train(self, name: str, model: Model, epochs: Expr) -> Phase:
        """Predict the training on prompts and responses; weights are read twice and their gradients written."""
        _check(self, model=model)
        return Phase(name, "train", epochs * self._whole(model.forward + model.backward), 3 * epochs * model.parameters)

    def write(self, name: str, model: Model) -> tuple[Phase, Phase]:
        """Predict how responses are written: the prompt in one pass, then a pass for each token but the last.

        The last token is not read again. A pass of one token meets the keys of all before it and its own, so that all
        of them together take what a causal mask leaves of one pass over the whole, less that of the prompt. A model
        that decodes by other products than it trains by, such as absorbed ones of latents, takes other FLOPs.
        """
        _check(self, model=model)
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


def _choices(**given: object) -> None:
    for name, choice in given.items():
        if not isinstance(choice, bool):
            raise TypeError(f"{name}={quoted(choice)} is neither True nor False: give one of them")


def _check(rollouts: object, **models: object) -> None:
    if not isinstance(rollouts, Rollouts):
        raise TypeError(f"rollouts={quoted(rollouts)} are not rollouts: write Rollouts(prompts=16, samples=64)")
    for name, model in models.items():
        if not isinstance(model, Model):
            raise TypeError(f"{name}={quoted(model)} is not a model: write rule_of_six(), or asked_decoder()")


def rule_of_six(parameters: Expr | int = N, frozen: bool = False) -> Model:
    """Predict a model by its parameters alone: 2 FLOPs for each and a token forward, 4 backward.

    Parameters
    ----------
    parameters : sympy.Expr or int
        How many there are.
    frozen : bool
        Whether nearly all are frozen, as beside adapters: a gradient passes through them, but none is theirs, so that
        the backward pass takes 2.

    Raises
    ------
    TypeError, ValueError
        If the parameters are not an amount, or `frozen` is neither True nor False.

    Notes
    -----
    Attention's products without weights are left out, and lookups counted as products.

    Examples
    --------
    >>> rule_of_six().backward, rule_of_six(frozen=True).backward
    (4*B*N*T, 2*B*N*T)
    """
    numbers = number("parameters", parameters, least=1)
    _choices(frozen=frozen)
    none, forward = Integer(0), 2 * numbers * B * T
    return Model(numbers, numbers, none, forward, (1 if frozen else 2) * forward, none, none)


def asked_decoder(outputs: Expr | int = V) -> Model:
    """Predict a transformer decoder whose output layer runs at A of its T tokens.

    Parameters
    ----------
    outputs : sympy.Expr or int
        Numbers that it gives for a token: as many as the vocabulary, or 1 where it tells a reward or a value.

    Raises
    ------
    TypeError, ValueError
        If the outputs are not an amount.

    Notes
    -----
    The letters are those of :func:`flopbook.predict.models.decoder`. Whoever scores a response asks at the R tokens
    before each of its own.

    Examples
    --------
    >>> asked_decoder().forward - asked_decoder(outputs=1).forward
    2*A*B*D*V - 2*A*B*D
    """
    width = number("outputs", outputs, least=1)
    block, top = attention_part() + feed_forward_part(), output_layer().at(T=A, V=width)
    return replace((L * block + top + _weights_of(width)).at(), tensors=Integer(0))


def _weights_of(outputs: Expr) -> Model:
    """Hold the tables: that of the vocabulary, which may be the output layer, or a small layer of its own."""
    if outputs == V:
        return tables * embedding()
    return embedding() + embedding().at(V=outputs)


def adapted_decoder(gated: bool = True) -> Model:
    """Predict a decoder that is frozen, with an adapter beside each weight of its blocks.

    Parameters
    ----------
    gated : bool
        Whether the feed-forward part has a gate.

    Notes
    -----
    The letters are those of :func:`asked_decoder`, and ``rank`` is the width in the middle of an adapter. The first
    block gets no gradient of its input, since the embedding is frozen. The parameters are all, the frozen ones too.

    Examples
    --------
    >>> from flopbook.predict import evaluate
    >>> sizes = dict(B=1, T=8, S=8, A=8, L=32, D=4096, H=32, G=8, E=128, F=14336, V=128256, tables=2, rank=1)
    >>> adapted = adapted_decoder()
    >>> round(float(evaluate(adapted.backward / adapted.forward, sizes)), 2)
    1.0
    """
    products = decoder_block(gated).forward
    weights = [product.right for product in products if product.right.name.startswith("w")]
    names = [weight.name for weight in weights]
    first, further = (lora(*products, adapted=names, rank="rank", data=data) for data in ("x", ()))
    adapters = {
        product.right.name: product.right for product in first.forward if product.right.name.endswith((".a", ".b"))
    }
    whole = asked_decoder().at(matrices=3 if gated else 2)
    output = 2 * A * B * D * V
    return replace(
        whole,
        parameters=whole.parameters + L * elements(*adapters.values()),
        active=whole.active + L * elements(*adapters.values()),
        forward=sympy.expand(L * flops(further.forward) + output),
        backward=sympy.expand(flops(first.backward) + (L - 1) * flops(further.backward) + output),
    )


def supervised(policy: Model, rollouts: Rollouts = Rollouts(), epochs: Expr | int = 1) -> PostTraining:
    """Predict fine-tuning on responses that are given: 6N a token.

    Parameters
    ----------
    policy : Model
        What is trained.
    rollouts : Rollouts
        Prompts and responses.
    epochs : sympy.Expr or int
        How often each is trained on.

    Raises
    ------
    TypeError, ValueError
        If the policy is not a model, or the epochs are not an amount; quotes it.

    Examples
    --------
    >>> supervised(rule_of_six()).flops
    6*B*N*(P + R)
    """
    _check(rollouts, policy=policy)
    return PostTraining((rollouts.train("policy", policy, number("epochs", epochs, least=1)),))


def dpo(
    policy: Model, reference: Model | None = None, rollouts: Rollouts = Rollouts(), epochs: Expr | int = 1
) -> PostTraining:
    """Predict direct preference optimization: of two responses to a prompt, one is preferred.

    Parameters
    ----------
    policy : Model
        What is trained.
    reference : Model, optional
        The model from which the policy shall not stray. Without it, its scores were kept from before.
    rollouts : Rollouts
        Pairs as prompts; the samples are 2, whatever is given.
    epochs : sympy.Expr or int
        How often each pair is trained on.

    Notes
    -----
    Rafailov and others, *Direct Preference Optimization* (2023), equation 7. Scores of the reference do not change,
    and are made once.

    Examples
    --------
    >>> dpo(rule_of_six(), rule_of_six()).flops
    16*B*N*(P + R)
    """
    _check(rollouts, policy=policy)
    pairs = replace(rollouts, samples=2)
    return PostTraining(
        (
            *_scores(pairs, reference=reference),
            pairs.train("policy", policy, number("epochs", epochs, least=1)),
        )
    )


def ppo(  # noqa: PLR0913, PLR0917  (four models take part)
    policy: Model,
    value: Model,
    reward: Model | None = None,
    reference: Model | None = None,
    rollouts: Rollouts = Rollouts(),
    epochs: Expr | int = 1,
    rescored: bool = True,
) -> PostTraining:
    """Predict proximal policy optimization: write, let four models score, train two.

    Parameters
    ----------
    policy : Model
        Writes the responses, and is trained.
    value : Model
        Says at each token what reward is to be expected, and is trained, too.
    reward : Model, optional
        Judges a whole response, at its last token. Without it, a rule does, which takes no products.
    reference : Model, optional
        The model from which the policy shall not stray.
    rollouts : Rollouts
        Prompts and responses.
    epochs : sympy.Expr or int
        How often both are trained on the same responses.
    rescored : bool
        Whether the policy scores its responses again before it is trained, since what wrote them did not keep the
        probabilities, or not precisely enough.

    Notes
    -----
    Schulman and others, *Proximal Policy Optimization Algorithms* (2017); Ouyang and others, *Training Language Models
    to Follow Instructions with Human Feedback* (2022), section 3.5.

    Examples
    --------
    >>> from sympy import factor
    >>> model = rule_of_six()
    >>> step = ppo(model, model, model, model)
    >>> step.of("score"), step.of("train")
    (8*B*N*(P + R), 12*B*N*(P + R))
    """
    _check(rollouts, policy=policy, value=value)
    _choices(rescored=rescored)
    times = number("epochs", epochs, least=1)
    return PostTraining(
        (
            *rollouts.write("policy", policy),
            *_scores(rollouts, policy=policy if rescored else None, reference=reference, value=value),
            *_rewards(rollouts, reward),
            rollouts.train("policy", policy, times),
            rollouts.train("value", value, times),
        )
    )


def grpo(  # noqa: PLR0913, PLR0917  (what may be left out is)
    policy: Model,
    reference: Model | None = None,
    reward: Model | None = None,
    rollouts: Rollouts = Rollouts(),
    epochs: Expr | int = 1,
    rescored: bool = True,
) -> PostTraining:
    """Predict group relative policy optimization: each response is held to the mean of its group, not to a value.

    Parameters
    ----------
    policy, reference, reward, rollouts, epochs, rescored
        As :func:`ppo` takes them; the samples are the group.

    Notes
    -----
    Shao and others, *DeepSeekMath* (2024), section 4.1.

    Examples
    --------
    >>> from flopbook.predict import evaluate
    >>> step = grpo(rule_of_six(), rule_of_six(), rollouts=Rollouts(samples=4))
    >>> step
    policy: prefill: 8*B*N*P FLOPs
    policy: decode: 8*B*N*(R - 1) FLOPs
    policy: score: 8*B*N*(P + R) FLOPs
    reference: score: 8*B*N*(P + R) FLOPs
    policy: train: 24*B*N*(P + R) FLOPs
    >>> evaluate(step.flops, dict(B=1, N=1000, P=30, R=71)) / (12_000 * 4 * 101)
    0.998...
    """
    _check(rollouts, policy=policy)
    _choices(rescored=rescored)
    return PostTraining(
        (
            *rollouts.write("policy", policy),
            *_scores(rollouts, policy=policy if rescored else None, reference=reference),
            *_rewards(rollouts, reward),
            rollouts.train("policy", policy, number("epochs", epochs, least=1)),
        )
    )


def distillation(
    student: Model,
    teacher: Model,
    rollouts: Rollouts = Rollouts(),
    written_by: str = "data",
    epochs: Expr | int = 1,
) -> PostTraining:
    """Predict distillation: a student is trained to give the probabilities of a teacher.

    Parameters
    ----------
    student, teacher : Model
        The teacher is not trained.
    rollouts : Rollouts
        Prompts and responses.
    written_by : str
        Who wrote the responses: the ``data``, the ``student`` (on-policy), or the ``teacher``, whose probabilities
        come with what it writes.
    epochs : sympy.Expr or int
        How often each response is trained on.

    Raises
    ------
    TypeError, ValueError
        As the others, or if the writer is not known.

    Notes
    -----
    Hinton and others, *Distilling the Knowledge in a Neural Network* (2015); Agarwal and others, *On-Policy
    Distillation of Language Models* (2024).

    Examples
    --------
    >>> from flopbook.predict import axis
    >>> distillation(rule_of_six(), rule_of_six(axis("M"))).flops
    2*B*M*(P + R) + 6*B*N*(P + R)
    """
    _check(rollouts, student=student, teacher=teacher)
    writer = one_of("written_by", written_by, ("data", "student", "teacher"))
    models = {"student": student, "teacher": teacher}
    return PostTraining(
        (
            *(rollouts.write(writer, models[writer]) if writer in models else ()),
            *_scores(rollouts, teacher=None if writer == "teacher" else teacher),
            rollouts.train("student", student, number("epochs", epochs, least=1)),
        )
    )


def rejection_sampling(
    policy: Model,
    reward: Model | None = None,
    rollouts: Rollouts = Rollouts(),
    kept: Expr | int = 1,
    epochs: Expr | int = 1,
) -> PostTraining:
    """Predict rejection sampling: of the samples of a prompt, the best are trained on.

    Parameters
    ----------
    policy : Model
        Writes the responses, and is trained.
    reward : Model, optional
        Judges each response; without it, a rule does.
    rollouts : Rollouts
        Prompts and samples.
    kept : sympy.Expr or int
        Responses of each prompt that are trained on; 0 where the best is the answer, and nothing is trained.
    epochs : sympy.Expr or int
        How often each of those is trained on.

    Raises
    ------
    TypeError, ValueError
        As the others, or if more are kept than there are; quotes it.

    Notes
    -----
    Touvron and others, *Llama 2* (2023), section 3.2.3.

    Examples
    --------
    >>> from flopbook.predict import evaluate
    >>> step = rejection_sampling(rule_of_six(), rule_of_six(), Rollouts(samples=8))
    >>> step.of("score"), step.of("train")
    (16*B*N*(P + R), 6*B*N*(P + R))
    """
    _check(rollouts, policy=policy)
    best = number("kept", kept)
    if (best - rollouts.samples).is_positive and best.is_number:
        raise ValueError(f"kept={quoted(kept)} are more than the {rollouts.samples} samples: keep fewer")
    times = number("epochs", epochs, least=1)
    trained = () if best == 0 else (replace(rollouts, samples=best).train("policy", policy, times),)
    return PostTraining((*rollouts.write("policy", policy), *_rewards(rollouts, reward), *trained))


def _scores(rollouts: Rollouts, **models: Model | None) -> tuple[Phase, ...]:
    """Let each model score that takes part."""
    given = {name: model for name, model in models.items() if model is not None}
    _check(rollouts, **given)
    return tuple(rollouts.score(name, model) for name, model in given.items())


def _rewards(rollouts: Rollouts, reward: Model | None) -> tuple[Phase, ...]:
    if reward is None:
        return ()
    _check(rollouts, reward=reward)
    return (rollouts.score("reward", reward, asked=Integer(1)),)
