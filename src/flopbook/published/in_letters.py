"""Build the library's models with letters as sizes, so that they write their own formulas.

The library takes whole numbers for sizes, so letters are put into a configuration that it has checked before. Attention
runs product by product: the one kernel that a CPU has for it makes the scores again on its way back.
"""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

from flopbook.tracing import Traced, trace

__all__ = ["LETTERED", "formulas"]

_SIZES = dict(B=2, T=7, L=3, D=96, F=40, Fx=24, V=101, H=6, G=2, E=10, X=4, K=2)
#: Enough for any number of layers that a trace tries.
_LAYERS = 64


def _config(model_type: str, **sizes: Any) -> Any:
    config: Any = AutoConfig.for_model(model_type, pad_token_id=None)
    vars(config).update(sizes)
    config._attn_implementation = "eager"
    return config


def _decoder(model_type: str, **others: Any) -> Callable[..., nn.Module]:
    """Return a function of letters that builds a decoder whose heads have a width of their own."""

    def build(L, D, F, V, H, G, E):  # noqa: PLR0913, PLR0917  (each is a letter)
        config = _config(
            model_type, num_hidden_layers=L, hidden_size=D, intermediate_size=F, vocab_size=V, num_attention_heads=H,
            num_key_value_heads=G, head_dim=E, **others,
        )  # fmt: skip
        return AutoModelForCausalLM.from_config(config)

    return build


def _gpt2(L, F, V, H, E):
    """Build a GPT-2, whose heads share its width."""
    config = _config("gpt2", n_layer=L, n_embd=H * E, n_inner=F, vocab_size=V, n_head=H)
    return AutoModelForCausalLM.from_config(config)


def _gpt_neox(L, F, V, H, E):
    """Build a GPT-NeoX, whose heads share its width."""
    config = _config(
        "gpt_neox", num_hidden_layers=L, hidden_size=H * E, intermediate_size=F, vocab_size=V, num_attention_heads=H
    )
    return AutoModelForCausalLM.from_config(config)


def _bert(L, F, V, H, E):
    """Build a BERT, whose heads share its width."""
    config = _config(
        "bert", num_hidden_layers=L, hidden_size=H * E, intermediate_size=F, vocab_size=V, num_attention_heads=H
    )
    return AutoModelForMaskedLM.from_config(config)


def _mixtral(L, D, Fx, V, H, G, E, X, K):  # noqa: PLR0913, PLR0917  (each is a letter)
    """Build a Mixtral whose experts run in one product, for which a CPU wants numbers of 16 bits."""
    config = _config(
        "mixtral", num_hidden_layers=L, hidden_size=D, intermediate_size=Fx, vocab_size=V, num_attention_heads=H,
        num_key_value_heads=G, head_dim=E, num_local_experts=X, num_experts_per_tok=K,
        _experts_implementation="grouped_mm",
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config).to(torch.bfloat16)


def _tokens(B, T):
    """Give B sequences of T tokens, and ask for what is said of them alone."""
    return dict(input_ids=torch.zeros(B, T, dtype=torch.long), return_dict=False)


def _tokens_of_decoder(B, T):
    return _tokens(B, T) | dict(use_cache=False)


#: How an architecture is built from letters, and what it is called with.
LETTERED: Mapping[str, tuple[Callable[..., nn.Module], Callable[..., Any]]] = MappingProxyType({
    "llama": (_decoder("llama"), _tokens_of_decoder),
    "qwen3": (_decoder("qwen3", layer_types=["full_attention"] * _LAYERS), _tokens_of_decoder),
    "gemma": (_decoder("gemma"), _tokens_of_decoder),
    "gpt2": (_gpt2, _tokens_of_decoder),
    "gpt_neox": (_gpt_neox, _tokens_of_decoder),
    "bert": (_bert, _tokens),
    "mixtral": (_mixtral, _tokens_of_decoder),
})  # fmt: skip


def formulas(architecture: str, **fixed: int) -> Traced:
    """Let an architecture of the library write its own formulas.

    Parameters
    ----------
    architecture : str
        One of `LETTERED`.
    **fixed : int
        Letters that stay numbers, which is faster.

    Raises
    ------
    FormulaError
        If it does not run on letters.
    """
    build, inputs = LETTERED[architecture]
    build = partial(build, **fixed)
    taken = [*signature(build).parameters.values(), *signature(inputs).parameters.values()]
    return trace(
        build, inputs, {letter.name: _SIZES[letter.name] for letter in taken if letter.default is letter.empty}
    )
