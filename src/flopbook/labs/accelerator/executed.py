"""Count the tensor-core operations of a product and of attention by a GPU's own counters.

Nsight Compute reads the counters kernel by kernel. Where it is not installed, or the driver does not let users read
counters, the result says so.
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
_RANGE = re.compile(r"flopbook:([\w, ]+)")  # the name of the range that a program's kernels run in
_MOST = 90  # seconds for all programs

#: Sizes of the programs that run under the tool, and of the predictions.
SIZES = dict(B=2, H=4, T=1024, E=64, D=512, K=1024)


def measure(device: str, clock: Clock) -> Mapping[str, Any]:
    """Run products and attention under Nsight Compute, and predict their FLOPs by formula."""
    if device != "cuda":
        return {"missing": f"instructions are counted by Nsight Compute on an NVIDIA GPU, and this device is {device}"}
    if not shutil.which("ncu"):
        return {"missing": "ncu is not installed: it comes with CUDA's toolkit, as Nsight Compute"}
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
    """Predict FLOPs: 2BTDK of a product; of attention two products forward and five backward."""
    B, H, T, E, D, K = SIZES.values()
    pair = 2 * B * H * T * T * E
    return {
        "product": 2 * B * T * D * K,
        **{f"attention, {mask}, forward": 2 * pair for mask in ("dense", "causal")},
        **{f"attention, {mask}, backward": 5 * pair for mask in ("dense", "causal")},
    }


def _metrics() -> list[str]:
    """List the device's counters of tensor-core operations, summed over the whole device."""
    asked = subprocess.run(["ncu", "--query-metrics"], capture_output=True, text=True, timeout=60, check=False)
    words = (line.split(maxsplit=1)[0] for line in asked.stdout.splitlines() if line.startswith(_PREFIX))
    return [f"{name}.sum" for name in words]


def read(listing: str) -> dict[str, dict[str, float]]:
    """Add up the operations of each program's kernels.

    Parameters
    ----------
    listing : str
        The output of ``ncu --csv --page raw``: a line of headings, one of units, one for each kernel.

    Returns
    -------
    dict of str to dict of str to float
        Operations by program, which the range names, and by metric; zeros are left out.

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
    """Find the name of a kernel's range, in whichever column the tool writes it."""
    marks = (_RANGE.search(cell or "") for cell in row.values())
    return next((mark[1].strip() for mark in marks if mark), "")
