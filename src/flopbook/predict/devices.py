"""What hardware promises: dense peaks and bandwidth from data sheets, each with its source and date."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["DEVICES", "Device", "peaks"]


@dataclass(frozen=True)
class Device:
    """A device as its maker describes it.

    Attributes
    ----------
    name : str
        With what tells variants apart.
    peak_flop_per_s : dict of str to float
        Dense peak of matrix products by the format of their operands, such as ``bf16``.
    bytes_per_s : float
        Bandwidth of the device's own memory.
    source, date : str
        Where the figures stand, and when they were read there.
    sparse_peak_flop_per_s : dict of str to float
        Peaks that hold only where two of every four weights are zero, by format; they count the FLOPs of the zeros.

    Examples
    --------
    >>> h100 = DEVICES["H100 SXM"]
    >>> h100.peak_flop_per_s["bf16"] / h100.bytes_per_s
    295.34...
    """

    name: str
    peak_flop_per_s: Mapping[str, float]
    bytes_per_s: float
    source: str
    date: str
    sparse_peak_flop_per_s: Mapping[str, float] = field(default_factory=dict)


_HOPPER = {"fp32": 66.9e12, "tf32": 494.7e12, "bf16": 989.4e12, "fp16": 989.4e12, "fp8": 1978.9e12}
_HOPPER_SPARSE = {"tf32": 989.4e12, "bf16": 1978.9e12, "fp16": 1978.9e12, "fp8": 3957.8e12}

#: Devices by name. Peaks in fp32 are those without matrix units.
DEVICES = {
    device.name: device
    for device in (
        Device(
            name="A100 SXM 80GB",
            peak_flop_per_s={"fp32": 19.5e12, "tf32": 156e12, "bf16": 312e12, "fp16": 312e12},
            bytes_per_s=2.039e12,
            source="NVIDIA's data sheet, as tabulated at https://glennklockwood.com/garden/processors/A100",
            date="2026-11",
            sparse_peak_flop_per_s={"tf32": 312e12, "bf16": 624e12, "fp16": 624e12},
        ),
        Device(
            name="H100 SXM",
            peak_flop_per_s=_HOPPER,
            bytes_per_s=3.35e12,
            source="NVIDIA's white paper, as tabulated at https://glennklockwood.com/garden/processors/h100",
            date="2026-11",
            sparse_peak_flop_per_s=_HOPPER_SPARSE,
        ),
        Device(
            name="TPU v4",
            peak_flop_per_s={"bf16": 275e12},
            bytes_per_s=1.2e12,
            source="https://docs.cloud.google.com/tpu/docs/v4",
            date="2026-11",
        ),
        Device(
            name="TPU v5e",
            peak_flop_per_s={"bf16": 197e12},
            bytes_per_s=0.819e12,
            source="https://docs.cloud.google.com/tpu/docs/v5e",
            date="2026-11",
        ),
    )
}


def peaks() -> dict[str, float]:
    """Dense peak in FLOP/s of every device at every format.

    Examples
    --------
    >>> peaks()["H100 SXM, bf16"]
    989400000000000.0
    """
    return {f"{d.name}, {name}": peak for d in DEVICES.values() for name, peak in d.peak_flop_per_s.items()}
