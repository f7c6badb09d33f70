"""Predict the bytes that a decoder keeps in mixed precision, by what each recipe keeps in which format."""

from typing import NamedTuple

from sympy import Expr

from flopbook.checks import one_of
from flopbook.predict.axes import D, L
from flopbook.predict.models.transformer import decoder, matrices
from flopbook.predict.notation import tensors
from flopbook.predict.pointwise import elements

__all__ = ["RECIPES", "Recipe", "kept_bytes"]

_LOG_SUM_BYTES = 4  # a fused attention keeps it in float32, whatever the format of its operands


class Recipe(NamedTuple):
    """Says in how many bytes a recipe of training keeps each kind of number.

    Attributes
    ----------
    stream : int
        What norms read, their means and deviations.
    operands : int
        What products read and make.
    loss : int
        What the cross-entropy keeps.
    casts : bool
        Whether each product makes copies of its own: of its input where a norm gives another format, and of its
        weight.
    """

    stream: int
    operands: int
    loss: int
    casts: bool = False


#: Recipes by name. *autocast* is that of ``torch.autocast`` with a model in float32: products run in 16 bits, norms and
#: the loss in 32.
RECIPES = {
    "float32": Recipe(4, 4, 4),
    "bf16 throughout": Recipe(2, 2, 2),
    "bf16, loss in float32": Recipe(2, 2, 4),
    "autocast": Recipe(4, 2, 4, casts=True),
}


def kept_bytes(recipe: str) -> Expr:
    """Predict the bytes that a decoder keeps for the backward pass.

    Letters and parts are those of `decoder`: attention is fused, and a norm keeps its input, and the mean and deviation
    of each token. Tokens and targets, which are whole numbers, are left out.

    Parameters
    ----------
    recipe : str
        A name in `RECIPES`.

    Raises
    ------
    TypeError, ValueError
        If there is no such recipe.

    Notes
    -----
    Derived in the lecture *Fewer bits*, and equal to what PyTorch keeps on a CPU.

    Examples
    --------
    >>> from flopbook.predict import evaluate
    >>> sizes = dict(B=2, T=128, D=64, H=4, G=4, E=16, F=256, V=1000, L=3, matrices=2, tables=2)
    >>> numbers = evaluate(decoder().activations, sizes)
    >>> [round(float(evaluate(kept_bytes(name), sizes) / numbers), 3) for name in RECIPES]
    [4.0, 2.006, 2.479, 3.27]
    """
    chosen = RECIPES[one_of("recipe", recipe, RECIPES)]
    norm = chosen.stream * _numbers("x[B,T,D] mean[B,T] deviation[B,T]")
    normed, log_sums = chosen.operands * _numbers("n[B,T,D]"), _LOG_SUM_BYTES * _numbers("logsumexp[B,H,T]")
    attention = chosen.operands * _numbers("q[B,T,H,E] k[B,T,G,E] v[B,T,G,E] o[B,T,H,E]") + log_sums
    hidden = chosen.operands * (_numbers("f[B,T,F] h[B,T,F]") + (matrices - 2) * _numbers("g[B,T,F] silu[B,T,F]"))
    copies = (3, matrices - 1) if chosen.casts else (1, 1)  # q, k and v read one input, the gate and w1 another
    block = 2 * norm + sum(copies) * normed + attention + hidden
    loss = chosen.loss * _numbers("logsoftmax[B,T,V] weight[]")
    weights = chosen.operands * _matrix_weights() if chosen.casts else 0
    return (L * block + norm + normed + loss + weights).expand()


def _numbers(names: str) -> Expr:
    return elements(*tensors(names))


def _matrix_weights() -> Expr:
    """Count the weights that products read: all but those of norms, and one table of the vocabulary."""
    return decoder().at(tables=1).parameters - (2 * L + 1) * D
