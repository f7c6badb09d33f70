"""Decode the instructions at given addresses of a program or library."""

import re
import struct
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

#: An instruction has at most 15 bytes: so many are copied into a slot. The rest of the slot holds no-ops, so that an
#: instruction that begins late in the window cannot take bytes of the next slot.
_WINDOW, _SLOT, _NOP = 15, 32, b"\x90"
_LISTED = re.compile(r"^ *([0-9a-f]+):\t(.*?) *$", re.MULTILINE)


def listed(file: str | Path, addresses: Iterable[int]) -> dict[int, str]:
    """Let ``objdump`` decode the instruction at each address.

    Parameters
    ----------
    file : str or path
        A program or library for x86-64, in the ELF format.
    addresses : iterable of int
        Where instructions begin.

    Returns
    -------
    dict of int to str
        Mnemonic and operands by address.

    Raises
    ------
    ValueError
        If the file is not such a program, or has no code at an address.
    """
    wanted = list(addresses)
    windows = _windows(Path(file), wanted)
    with TemporaryDirectory() as folder:
        slots = Path(folder) / "slots"
        slots.write_bytes(b"".join(window.ljust(_SLOT, _NOP) for window in windows))
        command = ["objdump", "-D", "-z", "--no-show-raw-insn", "-b", "binary", "-m", "i386:x86-64", str(slots)]
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    by_offset = {int(offset, 16): words for offset, words in _LISTED.findall(listing)}
    return {address: by_offset[number * _SLOT] for number, address in enumerate(wanted)}


def _windows(file: Path, addresses: Iterable[int]) -> Iterator[bytes]:
    """Yield the bytes from each address on, as many as an instruction can have."""
    with file.open("rb") as code:
        segments = list(_segments(code.read(64), code))
        for address in addresses:
            place = next((offset + address - start for start, end, offset in segments if start <= address < end), None)
            if place is None:
                raise ValueError(f"{str(file)!r} has no code at {address:#x}")
            code.seek(place)
            yield code.read(_WINDOW)


def _segments(header: bytes, code: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Yield first and last address of a file's loaded parts, and their offsets."""
    if header[:5] != b"\x7fELF\x02" or struct.unpack_from("<H", header, 18) != (62,):
        raise ValueError(f"{code.name!r} is not a program or library for x86-64")
    (table,) = struct.unpack_from("<Q", header, 32)
    size, number = struct.unpack_from("<HH", header, 54)
    code.seek(table)
    entries = code.read(size * number)
    for entry in range(0, size * number, size):
        kind, _, offset, start, _, in_file = struct.unpack_from("<IIQQQQ", entries, entry)
        if kind == 1:  # PT_LOAD
            yield start, start + in_file, offset
