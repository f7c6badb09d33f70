"""Run a step on several ranks, and put side by side what each counts."""

from typing import TYPE_CHECKING

from flopbook.lazy import export_lazily

if TYPE_CHECKING:
    from flopbook.measure.distributed.fake import fake_ranks
    from flopbook.measure.distributed.gathering import gather
    from flopbook.measure.distributed.processes import run_ranks

__getattr__, __dir__, __all__ = export_lazily(__name__)
