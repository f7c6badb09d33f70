"""Judge a whole training run by what its report says: FLOPs, hours of devices, and their peak."""

from dataclasses import dataclass
from fractions import Fraction

from flopbook.checks import is_number, quoted
from flopbook.predict.roofline import mfu

__all__ = ["ReportedRun"]

_SECONDS = 3600  # of an hour


@dataclass(frozen=True, repr=False)
class ReportedRun:
    """Holds what a report says of a training run, and tells what follows from it.

    Parameters
    ----------
    flops : int or Fraction
        FLOPs of the products of the whole run, forward and backward, without what is computed again.
    device_hours : int, float or Fraction
        Hours of one device, added up over all devices.
    peak_flop_per_s : int, float or Fraction
        Dense peak of one device, in FLOP/s, at the format of its operands.

    Raises
    ------
    ValueError
        If one of them is not a positive number; quotes it.

    Notes
    -----
    Derived in the lecture *Audit a published report*.

    Examples
    --------
    Llama 3 8B by 6 FLOPs for each parameter and token, with the hours of its model card:

    >>> run = ReportedRun(6 * 8_030_261_248 * 15 * 10**12, device_hours=1_300_000, peak_flop_per_s=989.4e12)
    >>> run
    722,723,512,320,000,000,000,000 FLOPs in 1,300,000 device-hours: 15.6% of the peak
    >>> round(run.least_device_hours), round(run.device_hours_at(Fraction(2, 5)))
    (202907, 507268)
    """

    flops: Fraction | float
    device_hours: Fraction | float
    peak_flop_per_s: Fraction | float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (is_number(value) and value > 0):
                raise ValueError(f"{name}={quoted(value)} is not an amount of a run: write a positive number")

    def __repr__(self) -> str:
        return (
            f"{int(self.flops):,} FLOPs in {float(self.device_hours):,.10g} device-hours: "
            f"{float(self.utilization):.1%} of the peak"
        )

    @property
    def utilization(self) -> Fraction:
        """The share of the devices' peak that the run reached, over all its hours."""
        return mfu(Fraction(self.flops), Fraction(self.device_hours) * _SECONDS, Fraction(self.peak_flop_per_s))

    @property
    def least_device_hours(self) -> Fraction:
        """The hours of devices that run at their peak all the time: no run takes fewer."""
        return Fraction(self.flops) / Fraction(self.peak_flop_per_s) / _SECONDS

    def device_hours_at(self, utilization: Fraction | float) -> Fraction:
        """Work out the hours of devices that reach a share of their peak.

        Parameters
        ----------
        utilization : number
            The share, above 0 and at most 1.

        Raises
        ------
        ValueError
            If it is anything else; quotes it.
        """
        if not (is_number(utilization) and 0 < utilization <= 1):
            raise ValueError(f"utilization={quoted(utilization)} is not a share: write 0.4 for 40%")
        return self.least_device_hours / Fraction(utilization)
