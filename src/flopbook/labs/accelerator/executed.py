"""Have a GPU's own counters say how many tensor-core operations a product and attention execute.

Nsight Compute reads them kernel by kernel. It may do so only where the driver lets users read counters; where it is
not there, or may not, that is the result.
"""

import csv
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from flopbook.labs.accelerator.clock import Clock

_PREFIX = "sm__ops_path_tensor"
_RANGE = re.compile(r"flopbook:([\w, ]+)")  # marks a program's kernels among all that a process runs
_MOST = 90  # seconds for all programs

#: Programs that run under the tool: B, T and the rest are the sizes that predictions are made with.
SIZES = dict(B=2, H=4, T=1024, E=64, D=512, K=1024)


def measure(device: str, clock: Clock) -> Mapping[str, Any]:
    """Run products and attention under Nsight Compute; the formulas' FLOPs stand beside what it saw."""
    if device != "cuda":
        return {"missing": f"instructions are counted by Nsight Compute on an NVIDIA GPU, and this device is {device}"}
    if not shutil.which("ncu"):
        return {"missing": "ncu is not there: it comes with CUDA's toolkit, as Nsight Compute"}
    names = _metrics()
    if not names:
        return {"missing": f"ncu knows no metric {_PREFIX}_* of this device"}
    command = ["ncu", "--csv", "--page", "raw", "--nvtx", "--print-nvtx-rename", "kernel", "--metrics", ",".join(names)]
    program = [sys.executable, "-m", "flopbook.labs.accelerator.programs"]
    limit = min(_MOST, max(clock.left, 1))
    ran = subprocess.run([*command, *program], capture_output=True, text=True, timeout=limit, check=False)
    if ran.returncode or "ERR_NVGPUCTRPERM" in ran.stdout + ran.stderr:
        return {"missing": f"ncu may not read counters here: {(ran.stderr or ran.stdout).strip()[-300:]}"}
    return {"sizes": SIZES, "metrics": names, "operations": read(ran.stdout), "predicted": predicted()}


def predicted() -> dict[str, int]:
    """Predict FLOPs by formula: 2BDK of a product, two products forward of attention and five backward."""
    B, H, T, E, D, K = SIZES.values()
    pair = 2 * B * H * T * T * E
    return {
        "product": 2 * B * T * D * K,
        **{f"attention, {mask}, forward": 2 * pair for mask in ("dense", "causal")},
        **{f"attention, {mask}, backward": 5 * pair for mask in ("dense", "causal")},
    }


def _metrics() -> list[str]:
    """Names of the device's counters of tensor-core operations, added up over the whole device."""
    asked = subprocess.run(["ncu", "--query-metrics"], capture_output=True, text=True, timeout=60, check=False)
    words = (line.split(maxsplit=1)[0] for line in asked.stdout.splitlines() if line.startswith(_PREFIX))
    return [f"{name}.sum" for name in words]


def read(listing: str) -> dict[str, dict[str, float]]:
    """Add up the operations of each program's kernels.

    Parameters
    ----------
    listing : str
        What ``ncu --csv --page raw`` prints: a line of headings, one of units, one for each kernel.

    Returns
    -------
    dict of str to dict of str to float
        Operations by program, which its range names, and by metric; zeros are left out.

    Examples
    --------
    >>> read('''==PROF== Connected
    ... "ID","Kernel Name","Start/Stop Range","sm__ops_path_tensor_src_bf16.sum"
    ... "","","",""
    ... "0","gemm","<default domain>:flopbook:product:none","1,024"
    ... "1","fill","","2"''')
    {'product': {'sm__ops_path_tensor_src_bf16.sum': 1024.0}}
    """
    lines = [line for line in listing.splitlines() if line.startswith('"')]
    totals: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in list(csv.DictReader(lines))[1:]:
        if program := _program(row):
            for name, value in row.items():
                if name.startswith(_PREFIX) and float(value.replace(",", "") or 0):
                    totals[program][name] += float(value.replace(",", ""))
    return {program: dict(found) for program, found in totals.items()}


def _program(row: Mapping[str, str]) -> str:
    """Name the range that a kernel ran in, wherever in its line the tool says it."""
    marks = (_RANGE.search(cell or "") for cell in row.values())
    return next((mark[1].strip() for mark in marks if mark), "")
