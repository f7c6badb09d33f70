"""Derive what a training step costs, on paper: with SymPy, never with torch."""

from typing import TYPE_CHECKING

from flopbook.lazy import export_lazily

if TYPE_CHECKING:
    from flopbook.predict.axes import B, C, D, E, F, G, H, K, L, N, S, T, V, axis
    from flopbook.predict.notation import Tensor
    from flopbook.predict.products import Product, conv, matmul
    from flopbook.predict.steps import TrainingStep, flops, training_step
    from flopbook.predict.values import evaluate

__getattr__, __dir__, __all__ = export_lazily(__name__)
