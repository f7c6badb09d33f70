"""Read off its mnemonic what a machine instruction computes: x86-64 up to AVX2."""

import re

_PREFIXES = re.compile(r"^(?:(?:rep[nz]?z?|lock|bnd|notrack|data16|cs|ds|es|fs|gs|ss|rex\S*|\{vex\}) )*")
_VECTOR = re.compile(r"\b([xyz])mm")
_WIDTHS = {"x": 128, "y": 256, "z": 512}
_BITS = {"s": 32, "d": 64}

#: Arithmetic on vector registers: its operation, then one number (s) or all of the register (p), then their precision.
_ARITHMETIC = re.compile(
    r"v?(?:(?P<fused>fn?m(?:add|sub)(?:add|sub)?(?:132|213|231))"
    r"|(?P<name>add|sub|addsub|hadd|hsub|mul|div|sqrt|min|max|round|rcp|rsqrt))"
    r"(?P<form>[sp])(?P<precision>[sd])"
)
#: Moves, conversions, comparisons, bitwise logic, and arithmetic on integers.
_NONE = re.compile(
    r"v?(?:mov|lddqu|broadcast|blend|shuf|unpck|perm|insert|extract|gather|mask|zero"
    r"|cvt|cmp|comi|ucomi|and|or|xor|test|p(?!f)|mpsadbw|aes|sha|gf2p8)"
)
#: The same two for the x87 unit, which works on one number at a time.
_X87 = re.compile(r"fi?(?P<name>add|sub|mul|div|sqrt|rnd)(?:r|p|rp|int)?[sl]?")
_X87_NONE = re.compile(r"f(?:abs|chs|ld|st|ild|ist|xch|com|ucom|icom|tst|xam|cmov|free|incstp|decstp|n|wait|x)")

_OPERATIONS = {
    **dict.fromkeys(("add", "sub", "addsub", "hadd", "hsub"), "add, subtract"),
    "mul": "multiply",
    "div": "divide",
    "sqrt": "square root",
    **dict.fromkeys(("min", "max"), "minimum, maximum"),
    **dict.fromkeys(("round", "rnd"), "round"),
    **dict.fromkeys(("rcp", "rsqrt"), "reciprocal"),
}
FUSED = "fused multiply-add"


def operation(instruction: str) -> str | None:
    """Return the floating-point operation that an instruction executes.

    Parameters
    ----------
    instruction : str
        Mnemonic and operands as ``objdump`` writes them, or its :func:`kind`.

    Returns
    -------
    str or None
        Such as ``fused multiply-add`` or ``divide``. None for moves,
        conversions, comparisons, bitwise logic and integers. ``unknown`` where
        the instruction uses a floating-point register and no rule names it,
        since zero FLOPs must never mean unknown.

    Examples
    --------
    >>> operation("vfmadd231ps (%rax),%ymm0,%ymm1"), operation("subsd %xmm1,%xmm0")
    ('fused multiply-add', 'add, subtract')
    >>> operation("movaps %xmm1,%xmm0"), operation("add %rax,%rbx"), operation("dpps $0xf1,%xmm1,%xmm0")
    (None, None, 'unknown')
    """
    mnemonic, vector = _split(instruction)
    if not vector and not mnemonic.startswith("f"):
        return None
    arithmetic, none = (_ARITHMETIC, _NONE) if vector else (_X87, _X87_NONE)
    if found := arithmetic.fullmatch(mnemonic):
        return _OPERATIONS[found["name"]] if found["name"] else FUSED
    return None if none.match(mnemonic) else "unknown"


def flops(instruction: str) -> int:
    """Return the FLOPs that an instruction executes each time it runs.

    An operation is one FLOP for each lane of the register, whether the lane is
    used or not; a fused multiply-add is two.

    Parameters
    ----------
    instruction : str
        As for :func:`operation`.

    Returns
    -------
    int
        FLOPs; 0 for moves, conversions and the like.

    Raises
    ------
    ValueError
        If the operation is unknown.

    Examples
    --------
    >>> flops("vfmadd231ps (%rax),%ymm0,%ymm1")     # 8 lanes, a multiplication and an addition in each
    16
    >>> flops("vaddpd %ymm2,%ymm1,%ymm0"), flops("addsd %xmm1,%xmm0"), flops("cvtsi2sd %rax,%xmm0")
    (4, 1, 0)
    """
    does = operation(instruction)
    if does is None:
        return 0
    if does == "unknown":
        raise ValueError(
            f"no rule says what {instruction!r} computes: add one to flopbook.measure.processor.instructions"
        )
    mnemonic, vector = _split(instruction)
    found = _ARITHMETIC.fullmatch(mnemonic)
    lanes = _WIDTHS[vector] // _BITS[found["precision"]] if found and found["form"] == "p" else 1
    return 2 * lanes if does == FUSED else lanes


def kind(instruction: str) -> str:
    """Return the mnemonic and its kind of register, which decide the FLOPs.

    Parameters
    ----------
    instruction : str
        As ``objdump`` writes it.

    Returns
    -------
    str
        The name under which equal instructions are added up.

    Examples
    --------
    >>> kind("vfmadd231ps (%rax),%ymm0,%ymm1"), kind("addss %xmm1,%xmm0"), kind("faddp %st,%st(1)")
    ('vfmadd231ps ymm', 'addss xmm', 'faddp')
    """
    mnemonic, vector = _split(instruction)
    return f"{mnemonic} {vector}mm" if vector else mnemonic


def _split(instruction: str) -> tuple[str, str]:
    """Split an instruction into its mnemonic and the letter of its widest vector register."""
    mnemonic, _, operands = _PREFIXES.sub("", instruction).partition(" ")
    return mnemonic, max(_VECTOR.findall(operands), default="")
