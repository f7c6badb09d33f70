"""Large numbers for people: SI prefixes, and powers of ten where those end."""

from math import floor, log10

_PREFIXES = {-3: "n", -2: "µ", -1: "m", 0: "", 1: "k", 2: "M", 3: "G", 4: "T", 5: "P", 6: "E", 7: "Z", 8: "Y"}


def si(value: float, unit: str) -> str:
    """Value with three digits and an SI prefix, or a power of ten where there is no prefix.

    Examples
    --------
    >>> si(6_628_048_896, "FLOPs"), si(0, "FLOPs"), si(12, "FLOPs"), si(0.0021, "s"), si(3e30, "FLOPs")
    ('6.63 GFLOPs', '0 FLOPs', '12 FLOPs', '2.10 ms', '3.00e30 FLOPs')
    """
    if value == 0:
        return f"0 {unit}"
    rounded = float(f"{value:.3g}")  # first, so that 999.9 k becomes 1.00 M
    power = floor(log10(abs(rounded)) / 3)
    if power not in _PREFIXES:
        return f"{scientific(value)} {unit}"
    scaled = rounded / 1000**power
    digits = 0 if power == 0 and isinstance(value, int) else max(2 - floor(log10(abs(scaled))), 0)
    return f"{scaled:.{digits}f} {_PREFIXES[power]}{unit}"


def scientific(value: float) -> str:
    """Value with three digits and a power of ten.

    Examples
    --------
    >>> scientific(8_030_261_248), scientific(2.02e-15)
    ('8.03e9', '2.02e-15')
    """
    digits, power = f"{value:.2e}".split("e")
    return f"{digits}e{int(power)}"
