"""Measure this machine: FLOP/s of products in each format, and bytes/s of a copy."""

import platform
from collections.abc import Callable
from functools import cache
from statistics import median
from typing import NamedTuple

import torch
from torch.nn.functional import ScalingType, scaled_mm

from flopbook import checks
from flopbook.devices import Device, find_device, find_peak
from flopbook.measure.timing import now

#: Formats by the names that data sheets use.
FORMATS = {
    "fp64": torch.float64,
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp8": torch.float8_e4m3fn,
    "int8": torch.int8,
}
_FEWEST = 3  # widths; small products may be slow for other reasons than arithmetic
_LARGEST = 8192  # width of a square product; eight times the FLOPs at each doubling
_PATIENCE = 0.2  # seconds for the products of one width
_MOST = 50  # products of one width


class Rate(NamedTuple):
    """Holds FLOP/s of square products in one format; operations/s if that is an integer one.

    Attributes
    ----------
    widths : tuple of int
        Of the products.
    flop_per_s : tuple of float
        Of the fastest product of each width.
    median_flop_per_s : tuple of float
        Of the median product of each width.
    missing : str
        Why there are none; empty where there are.
    """

    widths: tuple[int, ...] = ()
    flop_per_s: tuple[float, ...] = ()
    median_flop_per_s: tuple[float, ...] = ()
    missing: str = ""

    @property
    def peak(self) -> float | None:
        """Return the highest rate; None if nothing was measured."""
        return max(self.flop_per_s, default=None)


class Roof(NamedTuple):
    """Holds what bounds the speed of a device: a peak, and a bandwidth.

    Attributes
    ----------
    device, dtype : str
        The device, and the format of the operands.
    peak_flop_per_s, bytes_per_s : float
        Dense peak at that format, and bandwidth of the memory.
    source : str
        Where the two stand, or how they were measured.
    is_measured : bool
        Whether they were measured, and not read from a data sheet.
    """

    device: str
    dtype: str
    peak_flop_per_s: float
    bytes_per_s: float
    source: str
    is_measured: bool = False

    def seconds(self, flops: int, moved: int) -> float:
        """Return the least seconds of work, where computing and moving overlap.

        Parameters
        ----------
        flops, moved : int
            FLOPs, and bytes that are read and written.

        Examples
        --------
        >>> Roof("A", "bf16", 312e12, 2e12, "a data sheet").seconds(312 * 10**9, 10**9)
        0.001
        """
        return max(flops / self.peak_flop_per_s, moved / self.bytes_per_s)


class Chosen(NamedTuple):
    """Holds the device to measure on, and a sentence that says why it was chosen."""

    device: str
    word: str


def choose_device(wanted: str = "auto") -> Chosen:
    """Choose the device that is wanted if it is there, else the processor.

    Parameters
    ----------
    wanted : str
        Such as ``cuda``; ``auto`` for an accelerator where there is one. One
        of several, such as ``cuda:1``, becomes the current one.

    Examples
    --------
    >>> choose_device("cpu").device, choose_device("abacus").word
    ('cpu', "There is no 'abacus' here: the processor is measured.")
    """
    checks.text("wanted", wanted)
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    kind, _, number = wanted.partition(":")
    numbers = ("", *map(str, range(torch.accelerator.device_count())))
    if accelerator and kind in ("auto", accelerator.type) and number in numbers:
        if number:
            torch.accelerator.set_device_index(int(number))
        name = torch.cuda.get_device_name() if accelerator.type == "cuda" else accelerator.type
        return Chosen(accelerator.type, f"{name} is measured.")
    if wanted in ("auto", "cpu"):
        processor = f"{platform.machine()}, threads: {torch.get_num_threads()}"
        none = "" if wanted == "cpu" else "There is no accelerator here. "
        return Chosen("cpu", f"{none}The processor is measured: {processor}.")
    return Chosen("cpu", f"There is no {wanted!r} here: the processor is measured.")


def data_sheet(device: str | None = None) -> Device:
    """Find the data sheet of a device, or of the accelerator that is here.

    Parameters
    ----------
    device : str, optional
        A name for :func:`~flopbook.devices.find_device`; the current accelerator unless given.

    Raises
    ------
    ValueError
        If no data sheet is known for it, or there is no accelerator.

    Examples
    --------
    >>> data_sheet("H100 SXM").bytes_per_s
    3350000000000.0
    """
    if device is not None:
        return find_device(device)
    if not torch.cuda.is_available():
        raise ValueError("there is no accelerator here whose data sheet is known: write device='H100 SXM', or another")
    return find_device(torch.cuda.get_device_name())


def promised_peak(device: str | None, dtype: str | torch.dtype) -> float:
    """Find the dense peak of a device, or of the accelerator that is here, in FLOP/s.

    Parameters
    ----------
    device : str or None
        As for :func:`data_sheet`.
    dtype : str or torch.dtype
        Format of the operands: a name of data sheets, such as ``"bf16"``, or PyTorch's type. ``torch.float32``
        stands for ``"fp32"``, which is without matrix units; write ``"tf32"`` where products run so.

    Raises
    ------
    ValueError
        If the device is not known, or its data sheet has no such format.

    Examples
    --------
    >>> promised_peak("H100 SXM", torch.bfloat16)
    989400000000000.0
    """
    return find_peak(data_sheet(device).name, _format(dtype))


def _format(dtype: str | torch.dtype) -> str:
    names = {kind: name for name, kind in FORMATS.items() if name != "tf32"}
    return names.get(dtype, str(dtype)) if isinstance(dtype, torch.dtype) else dtype


def find_roof(device: str | None, dtype: str | torch.dtype, runs_on: str) -> Roof | None:
    """Find the roof of a device by its data sheet, or measure it.

    Parameters
    ----------
    device : str or None
        As for :func:`data_sheet`. Unless given, the accelerator that is here, and where no data sheet is known, what
        products and a copy reach.
    dtype : str or torch.dtype
        As for :func:`promised_peak`.
    runs_on : str
        PyTorch's name of what is measured, such as ``"cpu"``; on ``"meta"`` nothing is.

    Returns
    -------
    Roof or None
        None where nothing is known, and nothing can be measured.

    Raises
    ------
    ValueError
        If a device is given whose data sheet is not known, or has no such format.

    Examples
    --------
    >>> find_roof("H100 SXM", "bf16", "meta").peak_flop_per_s
    989400000000000.0
    """
    if device is not None:
        return _promised(find_device(device), _format(dtype))
    if runs_on == "meta":
        return None
    try:
        return _promised(data_sheet(), _format(dtype)) if runs_on == "cuda" else _measured(_format(dtype), runs_on)
    except ValueError:
        return _measured(_format(dtype), runs_on)


def _promised(sheet: Device, dtype: str) -> Roof:
    return Roof(sheet.name, dtype, find_peak(sheet.name, dtype), sheet.bytes_per_s, f"data sheet of {sheet.date}")


@cache
def _measured(dtype: str, device: str) -> Roof | None:
    """Measure a roof, once in a process."""
    peak = measure_products(dtype, device).peak
    if peak is None:
        return None
    source = "measured, the fastest square product and a copy"
    return Roof(device, dtype, peak, measure_bandwidth(device), source, is_measured=True)


def measure_products(name: str, device: str, smallest: int = 128, operands: str = "random") -> Rate:
    """Measure square products of doubling width, until one takes long.

    Parameters
    ----------
    name : str
        One of `FORMATS`.
    device : str
        Such as ``cpu`` or ``cuda``.
    smallest : int
        The first width.
    operands : {"random", "zero"}
        What to multiply. Zeros flip no bits, so that a device that its power
        limits is faster with them.

    Returns
    -------
    Rate
        With the reason, where the device or PyTorch has no product in this
        format.

    Raises
    ------
    ValueError
        If the format is unknown.

    Examples
    --------
    >>> measure_products("tf32", "cpu").missing
    'tf32 is a mode of NVIDIA GPUs, and this device is cpu'
    """
    checks.one_of("format", name, FORMATS)
    checks.size("smallest", smallest)
    checks.one_of("kind of operands", operands, ("random", "zero"))
    if name == "tf32" and torch.device(device).type != "cuda":
        return Rate(missing=f"tf32 is a mode of NVIDIA GPUs, and this device is {device}")
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    try:
        return _sweep(name, device, smallest, operands == "random")
    finally:
        torch.set_float32_matmul_precision(precision)


def _sweep(name: str, device: str, width: int, random: bool) -> Rate:
    widths: list[int] = []
    rates: list[tuple[float, float]] = []
    seconds = [0.0]
    while width <= _LARGEST and (len(widths) < _FEWEST or 8 * min(seconds) < 2 * _PATIENCE):
        try:
            seconds = _seconds(product(name, device, width, random))
        except (RuntimeError, NotImplementedError, TypeError) as error:
            if not widths:
                return Rate(missing=str(error).partition("\n")[0])
            break  # the memory is full
        widths.append(width)
        rates.append((2 * width**3 / min(seconds), 2 * width**3 / median(seconds)))
        width *= 2
    best, middle = zip(*rates, strict=True)
    return Rate(tuple(widths), best, middle)


def _seconds(call: Callable[[], object]) -> list[float]:
    """Time each of several calls; the fastest is the one that nothing else slowed down."""
    call()
    seconds: list[float] = []
    until = now() + _PATIENCE
    while len(seconds) < _MOST and (not seconds or now() <= until):
        started = now()
        call()
        seconds.append(now() - started)
    return seconds


def product(name: str, device: str, width: int, random: bool = True) -> Callable[[], torch.Tensor]:
    """Make a square product to run; in an 8-bit format it scales its operands.

    Examples
    --------
    >>> product("fp32", "cpu", 3)().shape
    torch.Size([3, 3])
    """
    fill = torch.randn if random else torch.zeros
    left, right = (fill(width, width, device=device).to(FORMATS[name]) for _ in range(2))
    if name == "int8":
        return lambda: torch._int_mm(left, right)
    if name != "fp8":
        return lambda: left @ right
    one, whole = torch.ones((), device=device), ScalingType.TensorWise
    return lambda: scaled_mm(left, right.t(), one, whole, one, whole)


def measure_bandwidth(device: str, size: int = 2**28) -> float:
    """Measure bytes/s of a copy within the device's memory, each byte read and written.

    Parameters
    ----------
    device : str
        Such as ``cpu`` or ``cuda``.
    size : int
        Bytes to copy; more than any cache holds.

    Notes
    -----
    A processor that reads a line before it overwrites it moves up to half as
    much again.

    Examples
    --------
    >>> measure_bandwidth("cpu", size=2**20) > 0
    True
    """
    checks.size("size", size, least=4)
    source = torch.zeros(size // 4, device=device)
    target = torch.zeros_like(source)
    return 2 * source.nbytes / min(_seconds(lambda: target.copy_(source)))
