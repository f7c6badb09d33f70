"""Derive decoders whose tokens meet all parameters: Llama and its relatives."""

from flopbook.predict.axes import L, axis
from flopbook.published.config import Config
from flopbook.published.network import Read, in_window
from flopbook.published.on_paper.pieces import attention, biases, both_ends, feed_forward, norms

#: Keys that turn positions into angles, scale, normalize and drop: pointwise arithmetic without parameters.
POINTWISE = (
    "hidden_act", "rms_norm_eps", "rope_theta", "rope_scaling", "rope_parameters", "max_position_embeddings",
    "attention_dropout",
)  # fmt: skip


def heads(config: Config, *, queries: int, keys: int | None = None, width: int | None = None) -> dict[str, int]:
    """Read H heads of queries, G of keys and values, and their width E, with the library's defaults."""
    H = config.size("num_attention_heads", queries)
    G = config.size("num_key_value_heads", keys or H)
    return dict(H=H, G=G, E=config.size("head_dim", width or config.size("hidden_size", 4096) // H))


def llama(config: Config) -> Read:
    """Read a Llama: a norm before each part, heads that share keys and values, a gate."""
    config.without_effect(*POINTWISE, "pretraining_tp")
    sizes = heads(config, queries=32) | dict(
        L=config.size("num_hidden_layers", 32),
        D=config.size("hidden_size", 4096),
        F=config.size("intermediate_size", 11008),
        V=config.size("vocab_size", 32000),
    )
    parts = [attention(L), feed_forward(L, gated=True), norms(2 * L)]
    if config.flag("attention_bias", False):
        parts.append(biases(L, "bq[H,E] bk[G,E] bv[G,E] bo[D]"))
    if config.flag("mlp_bias", False):
        parts.append(biases(L, "bg[F] b1[F] b2[D]"))
    return [*parts, *both_ends(tied=config.flag("tie_word_embeddings", False))], sizes


def mistral(config: Config) -> Read:
    """Read a Mistral: a Llama whose queries reach over a window, where one is given."""
    config.without_effect(*POINTWISE)
    sizes = heads(config, queries=32, keys=8) | dict(
        L=config.size("num_hidden_layers", 32),
        D=config.size("hidden_size", 4096),
        F=config.size("intermediate_size", 14336),
        V=config.size("vocab_size", 32000),
    )
    met = attention(L)
    if (width := config.value("sliding_window", 4096)) is not None:
        sizes["W"] = config.size("sliding_window", width)
        met = attention(L, in_window(axis("W")))
    return [
        met,
        feed_forward(L, gated=True),
        norms(2 * L),
        *both_ends(tied=config.flag("tie_word_embeddings", False)),
    ], sizes


READERS = {"llama": llama, "mistral": mistral}
