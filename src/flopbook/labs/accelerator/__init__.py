"""Record what a device runs, part by part: ``python -m flopbook.labs accelerator FOLDER``.

This needs Python, torch, SymPy, pytest and a checkout, but neither the site nor a network connection. Each part is
written as soon as it is done, so that an interruption loses only the rest. A part that cannot run has its reason in
place of its result.
"""

import json
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from flopbook.files import write_whole
from flopbook.labs.accelerator.clock import Clock
from flopbook.measure.machine import choose_device

#: Name and version of the JSON form; a field that changes its meaning changes the version.
SCHEMA = "flopbook.accelerator/1"
NAME = "accelerator.json"
_SECONDS = 210  # for all parts; the record names the parts that it leaves out

Part = Callable[[str, Clock], Mapping[str, Any]]


def parts() -> dict[str, Part]:
    """List the parts by name, in the order in which they run."""
    from flopbook.labs.accelerator import agreement, executed, memory, paths, roofs, training  # noqa: PLC0415

    return {
        "profiled": agreement.profile_the_source,
        "agreement": agreement.test,
        "roofs": roofs.measure,
        "memory": memory.measure,
        "paths": paths.count,
        "executed": executed.measure,
        "training": training.measure,  # last: it takes what time is left
    }


def record(folder: str | Path, wanted: str = "auto", say: Callable[[str], object] = print) -> dict[str, Any]:
    """Run every part on a device, and write the record after each.

    Parameters
    ----------
    folder : str or path
        The folder of the record, ``accelerator.json``; made where it does not exist.
    wanted : str
        The device, such as ``cpu`` or ``cuda``; ``auto`` for an accelerator where there is one.
    say : callable
        Called with a line of text after each part.

    Returns
    -------
    dict
        The record, as it was written last.

    Raises
    ------
    OSError
        If the folder cannot be written to; nothing is measured then.
    """
    device, why = choose_device(wanted)
    path, clock = Path(folder) / NAME, Clock(_SECONDS)
    path.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {**circumstances(device), "parts": {}}
    write_whole(path, json.dumps(found, indent=1))
    say(f"{why} The record is {str(path)!r}.")
    for name, part in parts().items():
        started = monotonic()
        found["parts"][name] = _result(part, device, clock) | {"took_seconds": round(monotonic() - started, 1)}
        write_whole(path, json.dumps(found, indent=1))
        say(f"{name}: {found['parts'][name].get('missing') or 'done'}, {found['parts'][name]['took_seconds']} s")
    return found


def _result(part: Part, device: str, clock: Clock) -> dict[str, Any]:
    """Return a part's result, or why it has none, so that others go on."""
    if clock.left <= 0:
        return {"missing": f"the {_SECONDS} s for all parts were over"}
    try:
        return dict(part(device, clock))
    except Exception as error:  # drivers and kernels raise errors of any class
        return {"missing": reason(error)}


def reason(error: Exception) -> str:
    """Write an error in one line.

    >>> reason(RuntimeError("no kernel\\nstack"))
    'RuntimeError: no kernel'
    """
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:300]}"


def circumstances(device: str) -> dict[str, Any]:
    """Describe when, where and with which versions the record is made."""
    return {
        "schema": SCHEMA,
        "recorded": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": {"type": device, **_properties(device)},
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "command": f"python -m flopbook.labs accelerator --device {device}",
        "platform": sys.platform,
    }


def _properties(device: str) -> dict[str, Any]:
    """Describe a GPU of NVIDIA or AMD with its driver; name other devices alone."""
    if device != "cuda":
        return {"name": platform.processor() or platform.machine() if device == "cpu" else device}
    found = torch.cuda.get_device_properties(0)
    return {
        "name": found.name,
        "capability": f"{found.major}.{found.minor}",
        "multiprocessors": found.multi_processor_count,
        "bytes": found.total_memory,
        "driver": _driver(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def _driver() -> str:
    """Ask nvidia-smi for the driver's version."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "unknown: nvidia-smi does not say"
