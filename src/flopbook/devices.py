"""Hold what data sheets promise: dense peaks, memory and links, with source and date."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from flopbook.checks import quoted

__all__ = ["DEVICES", "Device", "find_device", "find_peak", "peaks"]

#: Names of makers and of families, without which a device is as well known.
_FAMILIES = {"nvidia", "geforce", "tesla", "amd", "instinct", "radeon", "google", "cloud", "intel", "aws"}


@dataclass(frozen=True, kw_only=True)
class Device:
    """Describes a device as its maker does.

    Attributes
    ----------
    name : str
        With what tells variants apart.
    peak_flop_per_s : dict of str to float
        Dense peak of matrix products by the format of their operands, such as ``bf16``.
    bytes_per_s : float
        Bandwidth of the device's own memory.
    memory_bytes : int
        Capacity of that memory.
    link_bytes_per_s : float, optional
        Bandwidth of all its links to other devices of its kind, in both directions together.
    source, date : str
        Where the figures stand, and when they were read there.
    sparse_peak_flop_per_s : dict of str to float
        Peaks that hold only where two of every four weights are zero, by format; they count the FLOPs of the zeros.
    reported : tuple of str
        Names that the driver gives the device, as ``torch.cuda.get_device_name()`` returns them.

    Examples
    --------
    >>> h100 = DEVICES["H100 SXM"]
    >>> h100.peak_flop_per_s["bf16"] / h100.bytes_per_s
    295.34...
    """

    name: str
    peak_flop_per_s: Mapping[str, float]
    bytes_per_s: float
    memory_bytes: int
    source: str
    date: str
    link_bytes_per_s: float | None = None
    sparse_peak_flop_per_s: Mapping[str, float] = field(default_factory=dict)
    reported: tuple[str, ...] = ()


_GB, _GIB = 10**9, 2**30
_READ = "2026-11"
_HOPPER = {"fp32": 66.9e12, "tf32": 494.7e12, "bf16": 989.4e12, "fp16": 989.4e12, "fp8": 1978.9e12}
_HOPPER_SPARSE = {"tf32": 989.4e12, "bf16": 1978.9e12, "fp16": 1978.9e12, "fp8": 3957.8e12}
_LINKS = "memory and links as tabulated at https://ttsugriy.github.io/distributed-training-book/appendices/hardware-assumptions"

#: Devices by name. Peaks in fp32 are those without matrix units.
DEVICES = {
    device.name: device
    for device in (
        Device(
            name="A100 SXM 80GB",
            peak_flop_per_s={"fp32": 19.5e12, "tf32": 156e12, "bf16": 312e12, "fp16": 312e12},
            bytes_per_s=2.039e12,
            memory_bytes=80 * _GB,
            link_bytes_per_s=600e9,
            source=f"NVIDIA's data sheet, as tabulated at https://glennklockwood.com/garden/processors/A100; {_LINKS}",
            date=_READ,
            reported=("NVIDIA A100-SXM4-80GB",),
            sparse_peak_flop_per_s={"tf32": 312e12, "bf16": 624e12, "fp16": 624e12},
        ),
        Device(
            name="H100 SXM",
            peak_flop_per_s=_HOPPER,
            bytes_per_s=3.35e12,
            memory_bytes=80 * _GB,
            link_bytes_per_s=900e9,
            source=f"NVIDIA's white paper, as tabulated at https://glennklockwood.com/garden/processors/h100; {_LINKS}",
            date=_READ,
            reported=("NVIDIA H100 80GB HBM3",),
            sparse_peak_flop_per_s=_HOPPER_SPARSE,
        ),
        Device(
            name="H200 SXM",
            peak_flop_per_s=_HOPPER,
            bytes_per_s=4.8e12,
            memory_bytes=141 * _GB,
            link_bytes_per_s=900e9,
            source=f"the chip of the H100 SXM with more memory; {_LINKS}",
            date=_READ,
            reported=("NVIDIA H200",),
            sparse_peak_flop_per_s=_HOPPER_SPARSE,
        ),
        Device(
            name="B200 HGX",
            peak_flop_per_s={
                "fp32": 80e12, "tf32": 1.1e15, "bf16": 2.25e15, "fp16": 2.25e15, "fp8": 4.5e15, "fp4": 9e15,
            },
            bytes_per_s=8e12,
            memory_bytes=192 * _GB,
            link_bytes_per_s=1.8e12,
            source="NVIDIA's Blackwell brief at 1,000 W, as tabulated at https://glennklockwood.com/garden/processors/B200",
            date=_READ,
            reported=("NVIDIA B200",),
            sparse_peak_flop_per_s={"tf32": 2.2e15, "bf16": 4.5e15, "fp16": 4.5e15, "fp8": 9e15, "fp4": 18e15},
        ),
        Device(
            name="MI300X",
            peak_flop_per_s={"bf16": 1307e12, "fp16": 1307e12, "fp8": 2615e12},
            bytes_per_s=5.3e12,
            memory_bytes=192 * _GB,
            link_bytes_per_s=896e9,
            source=f"AMD's data sheet; peaks, {_LINKS}",
            date=_READ,
            reported=("AMD Instinct MI300X",),
        ),
        Device(
            name="TPU v4",
            peak_flop_per_s={"bf16": 275e12},
            bytes_per_s=1.2e12,
            memory_bytes=32 * _GIB,
            source="https://docs.cloud.google.com/tpu/docs/v4",
            date=_READ,
        ),
        Device(
            name="TPU v5e",
            peak_flop_per_s={"bf16": 197e12},
            bytes_per_s=0.819e12,
            memory_bytes=16 * _GB,
            link_bytes_per_s=400e9,
            source="https://docs.cloud.google.com/tpu/docs/v5e",
            date=_READ,
        ),
        Device(
            name="TPU v5p",
            peak_flop_per_s={"bf16": 459e12},
            bytes_per_s=2.765e12,
            memory_bytes=95 * _GIB,
            link_bytes_per_s=1.2e12,
            source="https://docs.cloud.google.com/tpu/docs/v5p-training",
            date=_READ,
        ),
        Device(
            name="TPU v6e",
            peak_flop_per_s={"bf16": 918e12},
            bytes_per_s=1.638e12,
            memory_bytes=32 * _GB,
            link_bytes_per_s=800e9,
            source="https://docs.cloud.google.com/tpu/docs/v6e",
            date=_READ,
        ),
        Device(
            name="TPU7x",
            peak_flop_per_s={"bf16": 2307e12, "fp8": 4614e12},
            bytes_per_s=7.38e12,
            memory_bytes=192 * _GIB,
            link_bytes_per_s=1.2e12,
            source="https://docs.cloud.google.com/tpu/docs/tpu7x",
            date=_READ,
        ),
    )
}  # fmt: skip


def peaks() -> dict[str, float]:
    """List the dense peak in FLOP/s of every device at every format.

    Examples
    --------
    >>> peaks()["H100 SXM, bf16"]
    989400000000000.0
    """
    return {f"{d.name}, {name}": peak for d in DEVICES.values() for name, peak in d.peak_flop_per_s.items()}


def find_device(name: str) -> Device:
    """Find a device by its name here, or by the name that its driver gives it.

    Parameters
    ----------
    name : str
        Such as ``"H100 SXM"``, or ``"NVIDIA H100 80GB HBM3"``.

    Raises
    ------
    TypeError
        If it is not text.
    ValueError
        If no device has the name; names those that come near, or all.

    Examples
    --------
    >>> find_device("NVIDIA H100 80GB HBM3").name
    'H100 SXM'
    >>> find_device("A100")
    Traceback (most recent call last):
    ...
    ValueError: device='A100' is not a device whose data sheet is known here: did you mean 'A100 SXM 80GB'?
    """
    if not isinstance(name, str):
        raise TypeError(f"device={quoted(name)} is not a name: write one such as 'H100 SXM'")
    for device in DEVICES.values():
        if name == device.name or name in device.reported:
            return device
    near = _near(name)
    advice = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(map(repr, DEVICES))}"
    raise ValueError(f"device={quoted(name)} is not a device whose data sheet is known here: {advice}")


def _near(name: str) -> list[str]:
    """Quote the names that have all words of a name, or are spelt alike."""
    plain = {" ".join(_words(known)): known for known in DEVICES}
    words = _words(name[:80])
    alike = [known for known in plain if words and set(words) <= set(known.split())]
    return [repr(plain[known]) for known in alike or get_close_matches(" ".join(words), plain)]


def _words(name: str) -> list[str]:
    return [word for word in name.lower().replace("-", " ").split() if word not in _FAMILIES]


def find_peak(device: str, dtype: str) -> float:
    """Find the dense peak of a device, in FLOP/s, at the format of its operands.

    Parameters
    ----------
    device : str
        As for :func:`find_device`.
    dtype : str
        Such as ``"bf16"``. ``"fp32"`` is without matrix units; products of float32 that run as TF32 have ``"tf32"``.

    Raises
    ------
    TypeError, ValueError
        If the device is not known, or its data sheet has no such format; names those that it has.

    Examples
    --------
    >>> find_peak("H100 SXM", "bf16")
    989400000000000.0
    """
    sheet = find_device(device)
    if not isinstance(dtype, str) or dtype not in sheet.peak_flop_per_s:
        formats = ", ".join(map(repr, sheet.peak_flop_per_s))
        raise ValueError(
            f"dtype={quoted(dtype)} has no peak on the data sheet of the {sheet.name}: write one of {formats}"
        )
    return sheet.peak_flop_per_s[dtype]
