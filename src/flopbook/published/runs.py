"""Put a published model and what its card says of its training into a run."""

from fractions import Fraction

from flopbook.checks import is_number, quoted, size
from flopbook.devices import find_peak
from flopbook.predict.runs import ReportedRun
from flopbook.published.network import Network

__all__ = ["reported_run"]


def reported_run(  # noqa: PLR0913  (each is a number of the report)
    network: Network,
    tokens: float,
    device_hours: float,
    device: str,
    dtype: str = "bf16",
    *,
    T: int,
    needed: bool = False,
) -> ReportedRun:
    """Work out what follows from the hours that a model card prints.

    Parameters
    ----------
    network : Network
        The model on paper, which reads tokens.
    tokens : int or float
        Tokens of the whole training, such as ``15e12``.
    device_hours : int or float
        Hours of one device, added up over all devices.
    device, dtype : str
        What ran, and the format of its operands, as for `flopbook.devices.find_peak`.
    T : int
        Tokens of a sequence in training.
    needed : bool
        Whether to leave out what the mask leaves out, and what is multiplied by zero.

    Raises
    ------
    TypeError, ValueError
        If the device is not known, an amount is not a positive number, or the model does not read T tokens.

    Examples
    --------
    >>> from flopbook.published import named
    >>> llama = named("Llama 3 8B").network
    >>> reported_run(llama, 15e12, 1.3e6, "H100 SXM", T=8192)
    868,692,787,200,000,000,000,000 FLOPs in 1,300,000 device-hours: 18.8% of the peak
    >>> reported_run(llama, 15e12, 1.3e6, "H100 SXM", T=8192, needed=True)
    772,067,819,520,000,000,000,000 FLOPs in 1,300,000 device-hours: 16.7% of the peak
    """
    if not isinstance(network, Network):
        raise TypeError(f"{quoted(network)} is not a model on paper: write named('Llama 3 8B').network")
    if network.free != ("B", "T"):
        raise ValueError(f"{network.name} does not read T tokens: a run is judged by its tokens")
    if not (is_number(tokens) and tokens > 0):
        raise ValueError(f"tokens={quoted(tokens)} is not an amount of a run: write a positive number, such as 15e12")
    for_sequence = network.step(B=1, T=size("T", T), needed=needed)
    return ReportedRun(Fraction(for_sequence, T) * Fraction(tokens), device_hours, Fraction(find_peak(device, dtype)))
