"""Run a program under callgrind, and read how often each instruction ran."""

import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

#: callgrind's name for the file of generated code, which a program writes while it runs.
NOWHERE = "???"

_COMMAND = ["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no", "--dump-instr=yes"]
_PLAIN = ["--compress-strings=no", "--compress-pos=no"]
_TRIGGER = "desc: Trigger: Client Request: "


@dataclass(frozen=True)
class Place:
    """Locates an instruction: a file of machine code, a function and an address."""

    file: str
    function: str
    address: int


def run(command: Sequence[str], environment: Mapping[str, str]) -> dict[str, Counter[Place]]:
    """Run a program under callgrind.

    Parameters
    ----------
    command : sequence of str
        Starts a program that asks callgrind for a dump at the end of each phase.
    environment : mapping of str to str
        The program's environment variables.

    Returns
    -------
    dict of str to Counter of Place
        How often each instruction ran in each phase, by the phase's name.

    Raises
    ------
    subprocess.CalledProcessError
        If the program fails; its `stderr` says why.
    """
    with TemporaryDirectory() as folder:
        tool = [*_COMMAND, *_PLAIN, f"--callgrind-out-file={folder}/dump"]
        subprocess.run([*tool, *command], env=environment, capture_output=True, text=True, check=True)
        dumps = sorted(Path(folder).glob("dump.*"), key=lambda path: int(path.suffix[1:]))
        return dict(read(path.read_text(encoding="utf-8", errors="replace")) for path in dumps)


def read(dump: str) -> tuple[str, Counter[Place]]:
    """Read one uncompressed dump.

    Parameters
    ----------
    dump : str
        The dump's text.

    Returns
    -------
    phase : str
        The phase that the program named when it asked for the dump.
    times : Counter of Place
        How often each instruction ran. The cost of a call is left out here: the
        dump gives it again with the called function.

    Raises
    ------
    ValueError
        If the dump has no addresses, or compressed ones.

    Examples
    --------
    >>> phase, times = read('''desc: Trigger: Client Request: forward
    ... positions: instr line
    ... ob=/lib/libm.so
    ... fn=exp
    ... 0x1f0 0 3
    ... calls=3 0x400 0
    ... 0x1f4 0 99
    ... 0x1f4 0 3''')
    >>> phase, times[Place("/lib/libm.so", "exp", 0x1F4)]
    ('forward', 3)
    """
    phase = file = function = ""
    times: Counter[Place] = Counter()
    lines = iter(dump.splitlines())
    for line in lines:
        key, _, value = line.partition("=")
        if line.startswith(_TRIGGER):
            phase = line.removeprefix(_TRIGGER)
        elif key == "ob":
            file = value
        elif key == "fn":
            function = value
        elif key == "calls":
            next(lines)
        elif line[:1] in "+-*(0123456789" and line:
            times[Place(file, function, _address(line))] += int(line.split()[-1])
    return phase, times


def _address(line: str) -> int:
    if not line.startswith("0x"):
        raise ValueError(f"{line!r} has no address: run callgrind with {' '.join(_COMMAND[-1:] + _PLAIN)}")
    return int(line.split(maxsplit=1)[0], 16)
