"""Models that people publish, on paper: from a ``config.json`` to parameters, FLOPs and bytes."""

from typing import TYPE_CHECKING

from flopbook.lazy import export_lazily

if TYPE_CHECKING:
    from flopbook.published.config import ConfigError
    from flopbook.published.models import named, names
    from flopbook.published.network import CAUSAL, EVERY, Mask, Network, Part, in_chunks, in_window, in_window_around
    from flopbook.published.read import from_config
    from flopbook.published.runs import reported_run

__getattr__, __dir__, __all__ = export_lazily(__name__)
