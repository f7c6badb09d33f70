"""Derive, count and time the floating-point operations of a training step.

What measures a model is exported here. What predicts is in `flopbook.predict`, so that an import names its side:
``from flopbook.predict import matmul``. Importing `flopbook` itself loads neither PyTorch nor SymPy.
"""

from typing import TYPE_CHECKING

from flopbook.lazy import export_lazily

if TYPE_CHECKING:
    from flopbook.measure.counting.count import FlopCount
    from flopbook.measure.meter import FlopMeter
    from flopbook.measure.one_call import count
    from flopbook.measure.report import Report
    from flopbook.tracing import trace

__getattr__, __dir__, __all__ = export_lazily(__name__)
