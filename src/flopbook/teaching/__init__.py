"""Show the paper side on a page: boxed formulas, exercises, audits, without torch."""

from typing import TYPE_CHECKING

from flopbook.lazy import export_lazily

if TYPE_CHECKING:
    from flopbook.teaching.audits import Audit, Findings, judge
    from flopbook.teaching.calculators.make import calculator
    from flopbook.teaching.exercises import Exercise
    from flopbook.teaching.formulas import boxed

__getattr__, __dir__, __all__ = export_lazily(__name__)
