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
_CDNA_3 = {"fp32": 163.4e12, "tf32": 653.7e12, "bf16": 1307e12, "fp16": 1307e12, "fp8": 2615e12}
_TABLES = "https://github.com/stas00/ml-engineering/tree/744d01e18b79512572f64a6bbd8b5f4a725203a7"
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
            memory_bytes=180 * _GB,
            link_bytes_per_s=1.8e12,
            source="NVIDIA's Blackwell brief at 1,000 W, as tabulated at "
            "https://glennklockwood.com/garden/processors/B200; memory that a system shows, at "
            "https://verda.com/blog/gb300-nvl72-architecture",
            date=_READ,
            reported=("NVIDIA B200",),
            sparse_peak_flop_per_s={"tf32": 2.2e15, "bf16": 4.5e15, "fp16": 4.5e15, "fp8": 9e15, "fp4": 18e15},
        ),
        Device(
            name="B300 HGX",
            peak_flop_per_s={"fp32": 75e12, "tf32": 1.125e15, "bf16": 2.25e15, "fp16": 2.25e15, "fp8": 4.5e15},
            bytes_per_s=8e12,
            memory_bytes=270 * _GB,
            link_bytes_per_s=1.8e12,
            source="https://glennklockwood.com/garden/processors/B300; memory that a system shows, and links, at "
            "https://verda.com/blog/gb300-nvl72-architecture; tables differ in fp4",
            date=_READ,
            sparse_peak_flop_per_s={"tf32": 2.25e15, "bf16": 4.5e15, "fp16": 4.5e15, "fp8": 9e15},
            reported=("NVIDIA B300 SXM6 AC",),
        ),
        Device(
            name="GB200 NVL72",
            peak_flop_per_s={"tf32": 1.25e15, "bf16": 2.5e15, "fp16": 2.5e15, "fp8": 5e15, "fp4": 10e15},
            bytes_per_s=8e12,
            memory_bytes=186 * _GB,
            link_bytes_per_s=1.8e12,
            source="one of the two GPUs of a module: NVIDIA's Blackwell brief at 1,200 W, as tabulated at "
            f"https://glennklockwood.com/garden/processors/B200; memory at {_TABLES}/compute/accelerator",
            date=_READ,
            sparse_peak_flop_per_s={"tf32": 2.5e15, "bf16": 5e15, "fp16": 5e15, "fp8": 10e15, "fp4": 20e15},
            reported=("NVIDIA GB200",),
        ),
        Device(
            name="GB300 NVL72",
            peak_flop_per_s={
                "fp32": 80e12, "tf32": 1.25e15, "bf16": 2.5e15, "fp16": 2.5e15, "fp8": 5e15, "fp4": 15e15,
            },
            bytes_per_s=8e12,
            memory_bytes=279 * _GB,
            link_bytes_per_s=1.8e12,
            source="one of the two GPUs of a module: https://verda.com/blog/gb300-nvl72-architecture",
            date=_READ,
            reported=("NVIDIA GB300",),
        ),
        Device(
            name="H100 PCIe",
            peak_flop_per_s={"fp32": 51e12, "tf32": 378e12, "bf16": 756e12, "fp16": 756e12, "fp8": 1513e12},
            bytes_per_s=2e12,
            memory_bytes=80 * _GB,
            source=f"NVIDIA's data sheet, as tabulated at {_TABLES}/compute/accelerator",
            date=_READ,
            reported=("NVIDIA H100 PCIe",),
        ),
        Device(
            name="H20",
            peak_flop_per_s={"fp32": 44e12, "tf32": 74e12, "bf16": 148e12, "fp16": 148e12},
            bytes_per_s=4e12,
            memory_bytes=96 * _GB,
            link_bytes_per_s=900e9,
            source="NVIDIA's figures, as told at https://zangshuxian.com/new/674733024499207168; memory and links at "
            "https://willitrunai.com/es/gpus/h20-96gb",
            date=_READ,
            reported=("NVIDIA H20",),
        ),
        Device(
            name="L40S",
            peak_flop_per_s={"fp32": 91.6e12, "tf32": 183e12, "bf16": 362.05e12, "fp16": 362.05e12, "fp8": 733e12},
            bytes_per_s=864e9,
            memory_bytes=48 * _GB,
            source="NVIDIA's data sheet, as copied at https://www.mullet.se/product.html?product_id=355414",
            date=_READ,
            sparse_peak_flop_per_s={"tf32": 366e12, "bf16": 733e12, "fp16": 733e12, "fp8": 1466e12},
            reported=("NVIDIA L40S",),
        ),
        Device(
            name="L4",
            peak_flop_per_s={"tf32": 60e12, "bf16": 121e12, "fp16": 121e12, "fp8": 242.5e12},
            bytes_per_s=300e9,
            memory_bytes=24 * _GB,
            source="NVIDIA's data sheet, as told at https://grokipedia.com/page/NVIDIA_L4_vs_L40S and, for tf32, at "
            "https://store.sourcecode.com/en-us/bg-bucket-compare/125/9820; its peaks are sparse, twice the dense ones",
            date=_READ,
            sparse_peak_flop_per_s={"tf32": 120e12, "bf16": 242e12, "fp16": 242e12, "fp8": 485e12},
            reported=("NVIDIA L4",),
        ),
        Device(
            name="RTX 5090",
            peak_flop_per_s={
                "fp32": 104.8e12, "tf32": 104.8e12, "bf16": 209.5e12, "fp16": 209.5e12, "fp8": 419e12,
            },
            bytes_per_s=1.792e12,
            memory_bytes=32 * _GB,
            source="with sums in 32 bits: NVIDIA's white paper, https://images.nvidia.com/aem-dam/Solutions/geforce/"
            "blackwell/nvidia-rtx-blackwell-gpu-architecture.pdf, as public tables quote it; memory at "
            "https://www.libertify.com/interactive-library/nvidia-rtx-blackwell-gpu-architecture-neural-rendering/",
            date=_READ,
            reported=("NVIDIA GeForce RTX 5090",),
        ),
        Device(
            name="RTX 4090",
            peak_flop_per_s={
                "fp32": 82.6e12, "tf32": 82.6e12, "bf16": 165.2e12, "fp16": 165.2e12, "fp8": 330.3e12,
            },
            bytes_per_s=1.008e12,
            memory_bytes=24 * _GB,
            source="with sums in 32 bits: NVIDIA's white paper, as tabulated at "
            "https://github.com/karpathy/llm.c/blob/0e69e3ae466694915e9f7e5742b3c55edacc20fd/llmc/mfu.h; memory at "
            "https://www.techgoing.com/nvidia-rtx-4090-gaming-graphics-cards-break-100-tflops-for-the-first-time/",
            date=_READ,
            reported=("NVIDIA GeForce RTX 4090",),
        ),
        Device(
            name="RTX 3090",
            peak_flop_per_s={"fp32": 35.6e12, "tf32": 35.6e12, "bf16": 71e12, "fp16": 71e12},
            bytes_per_s=936e9,
            memory_bytes=24 * _GB,
            source="with sums in 32 bits: NVIDIA's white paper, "
            "https://www.nvidia.com/content/PDF/nvidia-ampere-ga-102-gpu-architecture-whitepaper-v2.pdf, as public "
            "tables quote it; the same from cores and clock in "
            "https://github.com/karpathy/llm.c/blob/0e69e3ae466694915e9f7e5742b3c55edacc20fd/llmc/mfu.h",
            date=_READ,
            reported=("NVIDIA GeForce RTX 3090",),
        ),
        Device(
            name="MI300X",
            peak_flop_per_s=_CDNA_3,
            bytes_per_s=5.3e12,
            memory_bytes=192 * _GB,
            link_bytes_per_s=896e9,
            source=f"AMD's data sheet; peaks in 16 and 8 bits, {_LINKS}; others at {_TABLES}/compute/accelerator",
            date=_READ,
            reported=("AMD Instinct MI300X",),
        ),
        Device(
            name="MI325X",
            peak_flop_per_s=_CDNA_3,
            bytes_per_s=6e12,
            memory_bytes=256 * _GB,
            link_bytes_per_s=896e9,
            source=f"the chip of MI300X with more memory: {_TABLES}/compute/accelerator; links at {_TABLES}/network",
            date=_READ,
            reported=("AMD Instinct MI325X",),
        ),
        Device(
            name="MI355X",
            peak_flop_per_s={"fp32": 157.3e12, "bf16": 2.5e15, "fp16": 2.5e15, "fp8": 5e15, "fp4": 10.1e15},
            bytes_per_s=8e12,
            memory_bytes=288 * _GB,
            link_bytes_per_s=1071e9,
            source="https://www.amd.com/en/products/accelerators/instinct/mi350/mi355x.html, as tabulated at "
            f"{_TABLES}/compute/accelerator; links at {_TABLES}/network",
            date=_READ,
            sparse_peak_flop_per_s={"fp16": 5e15, "fp8": 10.1e15},
            reported=("AMD Instinct MI355X",),
        ),
        Device(
            name="Gaudi 3",
            peak_flop_per_s={"tf32": 459e12, "bf16": 1.677e15, "fp8": 1.677e15},
            bytes_per_s=3.7e12,
            memory_bytes=128 * _GB,
            link_bytes_per_s=1.2e12,
            source="Intel's white paper at the clock that is sold, 1.6 GHz (at the launch 1.75 GHz, and 1835 TFLOP/s), "
            f"as tabulated at {_TABLES}/compute/accelerator; links at {_TABLES}/network",
            date=_READ,
        ),
        Device(
            name="Trainium 2",
            peak_flop_per_s={"tf32": 667e12, "bf16": 667e12, "fp16": 667e12, "fp8": 1299e12},
            bytes_per_s=2.9e12,
            memory_bytes=96 * _GIB,
            link_bytes_per_s=1.28e12,
            source="https://awsdocs-neuron.readthedocs-hosted.com/en/v2.29.0/about-neuron/arch/neuron-hardware/trainium2.html",
            date=_READ,
            sparse_peak_flop_per_s={"tf32": 2563e12, "bf16": 2563e12, "fp16": 2563e12, "fp8": 2563e12},
        ),
        Device(
            name="Trainium 3",
            peak_flop_per_s={"tf32": 671e12, "bf16": 671e12, "fp16": 671e12, "fp8": 2517e12},
            bytes_per_s=4.9e12,
            memory_bytes=144 * _GIB,
            link_bytes_per_s=2.56e12,
            source="https://awsdocs-neuron.readthedocs-hosted.com/en/v2.29.1/about-neuron/arch/neuron-hardware/trainium3.html",
            date=_READ,
            sparse_peak_flop_per_s={"tf32": 2517e12, "bf16": 2517e12, "fp16": 2517e12},
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
