"""Give small models with counts derived on paper, to which counters are held.

The derivations know nothing of PyTorch, the models nothing of a formula; all
that they share are the sizes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from flopbook.specimens import in_torch, on_paper
from flopbook.specimens.in_torch.layers import Built
from flopbook.specimens.on_paper.derivation import Derivation


@dataclass(frozen=True)
class Specimen:
    """Pairs a model in PyTorch with the FLOPs of its contractions on paper.

    Attributes
    ----------
    family : str
        What kind of operators it is made of.
    name : str
        Unique.
    sizes : dict of str to int
        The sizes of the model.
    model : callable
        Takes the sizes by name, and builds the model and its inputs.
    derive : callable
        Gives the products of a training step.

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
    sizes: dict[str, int]
    model: Callable[..., Built]
    derive: Callable[[], Derivation]

    def build(self) -> Built:
        """Build a fresh model and its inputs."""
        return self.model(**self.sizes)

    def loss(self) -> torch.Tensor:
        """Run a fresh model, and return the mean square of what it answers."""
        model, inputs = self.build()
        return model(*inputs).float().square().mean()

    def step(self) -> None:
        """Run forward and backward pass of a fresh model; inference has no backward pass."""
        loss = self.loss()
        if loss.requires_grad:
            loss.backward()

    @cached_property
    def derivation(self) -> Derivation:
        """Return the products of a training step."""
        return self.derive()

    @cached_property
    def letters(self) -> dict[str, int]:
        """Return the size of every letter of the derivation."""
        return self.derivation.sizes(self.sizes)

    @cached_property
    def forward(self) -> int:
        """Evaluate the FLOPs of the forward pass."""
        return self.derivation.flops("forward", self.sizes)

    @cached_property
    def backward(self) -> int:
        """Evaluate the FLOPs of the backward pass, without what a checkpoint runs again."""
        return self.derivation.flops("backward", self.sizes)

    @cached_property
    def recomputed(self) -> int:
        """Evaluate the FLOPs of what a checkpoint runs again."""
        return self.derivation.flops("recomputed", self.sizes)

    def __repr__(self) -> str:
        return self.name


_TOKENS = dict(B=2, T=7)
_LATENTS = dict(**_TOKENS, D=10, H=3, E=4, R=2, J=5, C=6, Q=8)

#: All specimens, family by family.
SPECIMENS: tuple[Specimen, ...] = (
    Specimen(
        "Products", "MLP with biases", dict(B=7, D=9, H=6, J=5, K=3),
        in_torch.products.mlp, on_paper.products.mlp,
    ),
    Specimen(
        "Products", "Linear, 4-d input", dict(A=2, B=3, T=4, D=5, K=6),
        in_torch.products.linear_on_four_axes, on_paper.products.linear_on_four_axes,
    ),
    Specimen(
        "Products", "Vectors: Linear, mv, dot", dict(D=5, H=6, K=3),
        in_torch.products.vectors, on_paper.products.vectors,
    ),
    Specimen(
        "Products", "einsum", dict(B=2, T=3, D=5, H=4, E=7, K=6),
        in_torch.products.einsum, on_paper.products.einsum,
    ),
    Specimen(
        "Convolutions", "Conv1d, dilated", dict(B=2, C=3, K=5, X=19, R=3),
        in_torch.convolutions.dilated, on_paper.convolutions.dilated,
    ),
    Specimen(
        "Convolutions", "Conv2d, strided, padded", dict(B=2, C=3, K=5, X=11, Y=9, R=3, S=5),
        in_torch.convolutions.strided, on_paper.convolutions.strided,
    ),
    Specimen(
        "Convolutions", "Conv3d", dict(B=2, C=3, K=4, X=6, Y=8, Z=10, R=2, S=3, U=4),
        in_torch.convolutions.volumetric, on_paper.convolutions.volumetric,
    ),
    Specimen(
        "Convolutions", "Conv2d, grouped", dict(B=2, G=3, C=4, K=5, X=8, Y=10, R=3, S=2),
        in_torch.convolutions.grouped, on_paper.convolutions.grouped,
    ),
    Specimen(
        "Convolutions", "Depthwise-separable", dict(B=2, C=4, K=5, X=8, Y=10, R=3, S=2),
        in_torch.convolutions.depthwise_separable, on_paper.convolutions.depthwise_separable,
    ),
    Specimen(
        "Convolutions", "ConvTranspose2d", dict(B=2, C=3, K=5, X=6, Y=7, R=3, S=4),
        in_torch.convolutions.transposed, on_paper.convolutions.transposed,
    ),
    Specimen(
        "Convolutions", "CNN with norms and pooling", dict(B=3, C=2, D=4, H=6, K=5, X=8, Y=10, R=3),
        in_torch.convolutions.cnn, on_paper.convolutions.cnn,
    ),
    Specimen(
        "Convolutions", "Conv2d, same size, circular", dict(B=2, C=3, K=5, X=7, Y=8, R=3, S=5),
        in_torch.convolutions.circular, on_paper.convolutions.circular,
    ),
    Specimen(
        "Convolutions", "ConvTranspose1d, grouped", dict(B=2, G=3, C=4, K=2, X=7, R=5),
        in_torch.convolutions.transposed_in_groups, on_paper.convolutions.transposed_in_groups,
    ),
    Specimen(
        "Convolutions", "Unfold, then a product", dict(B=2, C=3, K=5, X=8, Y=7, R=3, S=2),
        in_torch.convolutions.unfolded, on_paper.convolutions.unfolded,
    ),
    Specimen(
        "Convolutions", "Residual bottleneck", dict(B=2, C=6, D=3, X=9, Y=12),
        in_torch.convolutions.bottleneck, on_paper.convolutions.bottleneck,
    ),
    Specimen(
        "Recurrent", "RNN", dict(T=5, B=3, D=7, H=6),
        in_torch.recurrent.rnn, on_paper.recurrent.rnn,
    ),
    Specimen(
        "Recurrent", "GRU", dict(T=5, B=3, D=7, H=6),
        in_torch.recurrent.gru, on_paper.recurrent.gru,
    ),
    Specimen(
        "Recurrent", "LSTM, 2 layers, bidirectional", dict(T=5, B=3, D=7, H=6),
        in_torch.recurrent.lstm, on_paper.recurrent.lstm,
    ),
    Specimen(
        "Recurrent", "LSTM cells, token by token", dict(T=5, B=3, D=7, H=6),
        in_torch.recurrent.lstm_cells, on_paper.recurrent.lstm_cells,
    ),
    Specimen(
        "Recurrent", "Scan, token by token", dict(B=2, T=5, D=9, H=3, N=4, P=7),
        in_torch.recurrent.scan, on_paper.recurrent.scan,
    ),
    Specimen(
        "Recurrent", "Scan in chunks", dict(B=2, T=9, D=10, G=2, R=3, N=4, P=7, Q=6),
        in_torch.recurrent.chunked_scan, on_paper.recurrent.chunked_scan,
    ),
    Specimen(
        "Attention", "SDPA, causal", dict(**_TOKENS, D=10, H=3, E=4),
        in_torch.attention.causal_attention, on_paper.attention.causal_attention,
    ),
    Specimen(
        "Attention", "SDPA, mask, grouped heads", dict(**_TOKENS, D=10, G=2, R=3, E=4),
        in_torch.attention.grouped_attention, on_paper.attention.grouped_attention,
    ),
    Specimen(
        "Attention", "One shared head, documents", dict(**_TOKENS, D=10, R=3, E=4),
        in_torch.attention.one_shared_head, on_paper.attention.one_shared_head,
    ),
    Specimen(
        "Attention", "From latents (MLA)", _LATENTS,
        in_torch.attention.latent_attention, on_paper.attention.latent_attention,
    ),
    Specimen(
        "Attention", "From latents, absorbed weights", _LATENTS,
        in_torch.attention.absorbed_latent_attention, on_paper.attention.absorbed_latent_attention,
    ),
    Specimen(
        "Attention", "MultiheadAttention", dict(**_TOKENS, D=12, H=3),
        in_torch.attention.multi_head_attention, on_paper.attention.multi_head_attention,
    ),
    Specimen(
        "Attention", "Encoder layer, training", dict(**_TOKENS, D=12, H=4, F=20),
        in_torch.attention.encoder_layer, on_paper.attention.encoder_layer,
    ),
    Specimen(
        "Attention", "Encoder layer, inference", dict(**_TOKENS, D=12, H=4, F=20),
        in_torch.attention.encoder_layer_inference, on_paper.attention.encoder_layer_inference,
    ),
    Specimen(
        "Models", "GPT, tied embedding", dict(**_TOKENS, V=50, D=16, H=2, E=8, F=40),
        in_torch.models.gpt, on_paper.models.gpt,
    ),
    Specimen(
        "Models", "Llama block", dict(**_TOKENS, D=10, G=2, R=3, E=4, F=18),
        in_torch.models.llama, on_paper.models.llama,
    ),
    Specimen(
        "Models", "Mixture of experts, top 2", dict(B=9, D=8, F=12, X=4),
        in_torch.models.mixture, on_paper.models.mixture,
    ),
    Specimen(
        "Models", "Experts, grouped product", dict(B=2, T=5, D=8, F=16, X=6, K=3),
        in_torch.experts.grouped, on_paper.experts.grouped,
    ),
    Specimen(
        "Models", "Experts in padded slots", dict(**_TOKENS, D=5, F=9, X=4, K=3),
        in_torch.experts.in_slots, on_paper.experts.in_slots,
    ),
    Specimen(
        "Training", "LoRA, frozen weights", dict(B=6, D=10, R=2, H=14, K=5),
        in_torch.training.lora, on_paper.training.lora,
    ),
    Specimen(
        "Training", "Checkpointed", dict(B=6, D=5, H=8, F=11),
        in_torch.training.checkpointed, on_paper.training.checkpointed,
    ),
    Specimen(
        "Training", "Checkpointed, reentrant", dict(B=6, D=5, H=8, F=11),
        in_torch.training.checkpointed_reentrant, on_paper.training.checkpointed_reentrant,
    ),
    Specimen(
        "Training", "autocast to bfloat16", dict(B=7, D=9, H=6, J=5, K=3),
        in_torch.training.autocast, on_paper.training.autocast,
    ),
    Specimen(
        "Adapters", "DoRA", dict(B=7, D=10, R=2, H=13, K=5),
        in_torch.adapters.rescaled, on_paper.adapters.rescaled,
    ),
    Specimen(
        "Adapters", "IA3", dict(B=6, D=10, H=14, K=5),
        in_torch.adapters.scaled, on_paper.adapters.scaled,
    ),
    Specimen(
        "Adapters", "QLoRA, 4 bits", dict(B=6, D=10, R=2, H=14, K=5),
        in_torch.adapters.quantized, on_paper.adapters.quantized,
    ),
    Specimen(
        "Adapters", "Prefix, frozen attention", dict(B=2, T=7, P=4, D=10, H=3, E=4),
        in_torch.adapters.prefix, on_paper.adapters.prefix,
    ),
)  # fmt: skip
