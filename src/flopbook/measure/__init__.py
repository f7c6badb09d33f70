"""Count, profile, time and weigh what PyTorch runs, without SymPy."""

import os
from typing import TYPE_CHECKING

from flopbook.lazy import export_lazily

if TYPE_CHECKING:
    from flopbook.measure.counting.count import FlopCount
    from flopbook.measure.machine import choose_device
    from flopbook.measure.memory import held_bytes, watch_memory, weigh
    from flopbook.measure.meter import FlopMeter
    from flopbook.measure.one_call import count
    from flopbook.measure.profiler import profile_flops, profile_time
    from flopbook.measure.report import Report
    from flopbook.measure.timing import time_step

# PyTorch's profiler reads this when it runs first; without it, it writes lines of its own to standard error.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

__getattr__, __dir__, __all__ = export_lazily(__name__)
