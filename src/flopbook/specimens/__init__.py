"""Ordinary small models, each with its count derived on paper: what a counter is held to.

The derivations know nothing of PyTorch, the models nothing of a formula; all
that they share are the sizes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from flopbook.specimens import in_torch, on_paper
from flopbook.specimens.in_torch import Built
from flopbook.specimens.on_paper import Derivation


@dataclass(frozen=True)
class Specimen:
    """A model, its inputs, and the FLOPs of its contractions.

    Attributes
    ----------
    family : str
        What kind of operators it is made of.
    name : str
        Unique.
    sizes : dict of str to int
        The size of every letter.

    Examples
    --------
    >>> specimen = SPECIMENS[0]
    >>> specimen
    MLP with biases
    >>> specimen.forward, specimen.backward
    (1386, 2016)
    >>> model, inputs = specimen.build()
    >>> model(*inputs).shape
    torch.Size([7, 3])
    """

    family: str
    name: str
    model: Callable[..., Built]
    derive: Callable[[], Derivation]
    sizes: dict[str, int]

    def build(self) -> Built:
        """A fresh model and its inputs."""
        return self.model(**self.sizes)

    def loss(self) -> torch.Tensor:
        """The mean square of what a fresh model answers."""
        model, inputs = self.build()
        return model(*inputs).float().square().mean()

    def step(self) -> None:
        """Forward and backward pass of a fresh model; inference has no backward pass."""
        loss = self.loss()
        if loss.requires_grad:
            loss.backward()

    @cached_property
    def derivation(self) -> Derivation:
        """The products of a training step."""
        return self.derive()

    @cached_property
    def forward(self) -> int:
        """FLOPs of the forward pass."""
        return self.derivation.flops("forward", self.sizes)

    @cached_property
    def backward(self) -> int:
        """FLOPs of the backward pass, without what a checkpoint runs again."""
        return self.derivation.flops("backward", self.sizes)

    @cached_property
    def recomputed(self) -> int:
        """FLOPs of what a checkpoint runs again."""
        return self.derivation.flops("recomputed", self.sizes)

    def __repr__(self) -> str:
        return self.name


def _specimen(family: str, name: str, kind: str, derivation: str = "", /, **sizes: int) -> Specimen:
    return Specimen(family, name, getattr(in_torch, kind), getattr(on_paper, derivation or kind), sizes)


_TOKENS = dict(B=2, T=7, S=7)
_CHECKPOINTED = dict(B=6, D=5, H=8, F=11)

#: All specimens, family by family.
SPECIMENS: tuple[Specimen, ...] = (
    _specimen("Products", "MLP with biases", "mlp", B=7, D=9, H=6, J=5, K=3),
    _specimen("Products", "Linear, 4-d input", "linear_on_four_axes", A=2, B=3, T=4, D=5, K=6),
    _specimen("Products", "Vectors: Linear, mv, dot", "vectors", B=1, D=5, H=6, K=3),
    _specimen("Products", "einsum", "einsum", B=2, T=3, D=5, H=4, E=7, K=6),
    _specimen("Convolutions", "Conv1d, dilated", "dilated", B=2, C=3, K=5, X=19, R=3, P=15),
    _specimen("Convolutions", "Conv2d, strided, padded", "strided", B=2, C=3, K=5, X=11, Y=9, R=3, S=5, P=6, Q=4),
    _specimen("Convolutions", "Conv3d", "volumetric", B=2, C=3, K=4, X=6, Y=8, Z=10, R=2, S=3, U=4, P=5, Q=6, O=7),
    _specimen("Convolutions", "Conv2d, grouped", "grouped", B=2, G=3, C=4, K=5, X=8, Y=10, R=3, S=2, P=6, Q=9),
    _specimen(
        "Convolutions", "Depthwise-separable", "depthwise_separable",
        B=2, C=4, K=5, X=8, Y=10, R=3, S=2, P=6, Q=9,
    ),
    _specimen("Convolutions", "ConvTranspose2d", "transposed", B=2, C=3, K=5, X=6, Y=7, R=3, S=4, P=13, Q=16),
    _specimen(
        "Convolutions", "CNN with norms and pooling", "cnn",
        B=3, C=2, D=4, H=6, K=5, X=8, Y=10, P=8, Q=10, R=3, S=3, X2=4, Y2=5, P2=4, Q2=5,
    ),
    _specimen("Recurrent", "RNN", "rnn", "recurrent", T=5, U=4, B=3, D=7, H=6, G=6),
    _specimen("Recurrent", "GRU", "gru", "recurrent", T=5, U=4, B=3, D=7, H=6, G=18),
    _specimen(
        "Recurrent", "LSTM, 2 layers, bidirectional", "lstm", "stacked_recurrent",
        T=5, U=4, B=3, D=7, H=6, G=24, W=12,
    ),
    _specimen("Attention", "SDPA, causal", "causal_attention", **_TOKENS, D=10, H=3, E=4, P=36, J=12),
    _specimen(
        "Attention", "SDPA, mask, grouped heads", "grouped_attention",
        **_TOKENS, D=10, G=2, R=3, E=4, P=40, J=24,
    ),
    _specimen("Attention", "MultiheadAttention", "multi_head_attention", **_TOKENS, D=12, H=3, E=4, P=36, J=12),
    _specimen("Attention", "Encoder layer, training", "encoder_layer", **_TOKENS, D=12, H=4, E=3, P=36, J=12, F=20),
    _specimen(
        "Attention", "Encoder layer, inference", "encoder_layer_inference",
        **_TOKENS, D=12, H=4, E=3, P=36, J=12, F=20,
    ),
    _specimen("Models", "GPT, tied embedding", "gpt", **_TOKENS, V=50, D=16, H=2, E=8, P=48, J=16, F=40),
    _specimen("Models", "Llama block", "llama", **_TOKENS, D=10, G=2, R=3, E=4, P=40, J=24, F=18),
    _specimen("Models", "Mixture of experts, top 2", "mixture", B=9, D=8, F=12, X=4, M=18),
    _specimen("Training", "LoRA, frozen weights", "lora", B=6, D=10, R=2, H=14, K=5),
    _specimen("Training", "Checkpointed", "checkpointed", **_CHECKPOINTED),
    _specimen("Training", "Checkpointed, reentrant", "checkpointed_reentrant", **_CHECKPOINTED),
    _specimen("Training", "autocast to bfloat16", "autocast", "mlp", B=7, D=9, H=6, J=5, K=3),
)  # fmt: skip
