"""Start kernels by forks of a process that has imported torch and SymPy, or plainly.

Kernels start plainly where a fork is not safe. In both ways each kernel is a process of its own, in the page's folder,
with an empty profile of IPython.
"""

import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

#: On macOS, system libraries may break in a process that was forked after they were used.
FORK_IS_SAFE = sys.platform == "linux"
#: Environment variables of every kernel.
SETTINGS = {
    "MATPLOTLIBRC": str(Path(__file__).with_name("matplotlibrc")),  # so that a figure's bytes are the same every time
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # as ipykernel sets it, but earlier
    "PYTHONHASHSEED": "0",
}
#: Modules that take most of a page's time to import, and that many pages import. None starts a thread, which a fork
#: would lose.
PRELOADED = [
    "IPython.core.completer",
    "ipykernel.kernelapp",
    "matplotlib.pyplot",
    "myst_nb.ext.glue",
    "numpy",
    "sympy",
    "torch._dynamo",
    "torch.profiler",
    "torch.utils.flop_counter",
]
_KERNEL = "python3"
_SERVER = Path(__file__).with_name("fork_server.py")


class Kernels:
    """Makes managers of kernels, and ends all kernels at the end of the `with` block."""

    def __init__(self, fork: bool = FORK_IS_SAFE):
        self._fork = fork
        self._managers: list[AsyncKernelManager] = []
        self._numbers = itertools.count()  # pages ask from several threads

    def __enter__(self) -> Self:
        self._sockets = TemporaryDirectory()
        if self._fork:
            self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                command = [sys.executable, str(_SERVER), str(theirs.fileno()), *PRELOADED]
                environment = {**os.environ, **SETTINGS}
                environment.pop("PYTHONPATH", None)  # each kernel's request has its own
                self._server = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()])
        return self

    def manager(self) -> AsyncKernelManager:
        """Return the manager of a kernel that is not started yet."""
        # Sockets are files: another process may take a port before the kernel does.
        address = str(Path(self._sockets.name) / str(next(self._numbers)))
        manager = AsyncKernelManager(kernel_name=_KERNEL, transport="ipc", ip=address)
        if self._fork:
            identity = {"kernel_id": str(uuid.uuid4()), "kernel_spec": KernelSpecManager().get_kernel_spec(_KERNEL)}
            manager.provisioner = _ForkProvisioner(parent=manager, **identity)
            manager.provisioner.channel = self._channel
        self._managers.append(manager)
        return manager

    def end(self) -> None:
        """End all kernels, and so the pages that they run."""
        for manager in self._managers:
            process = getattr(manager.provisioner, "process", None)
            if process and process.poll() is None:
                process.kill()
                process.wait()

    def __exit__(self, *exception: object) -> None:
        self.end()
        self._sockets.cleanup()
        if self._fork:
            self._channel.close()
            self._server.kill()  # which may still import what no page asked for
            self._server.wait()


class _ForkProvisioner(LocalProvisioner):
    """Asks the server for a kernel, instead of starting a new Python."""

    channel: socket.socket

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
        forked = _Forked(self.channel, arguments, kwargs["env"], kwargs["cwd"])
        self.process = forked  # type: ignore[assignment]
        self.pid = self.pgid = forked.pid
        return self.connection_info


class _Forked:
    """Represents a forked kernel by the part of Popen that jupyter_client uses."""

    stdin = stdout = stderr = None
    _has_ended = False

    def __init__(self, channel: socket.socket, arguments: Sequence[str], environment: Mapping[str, str], folder: str):
        request = {"arguments": arguments, "environment": dict(environment), "folder": folder}
        self._own, theirs = socket.socketpair()
        with theirs, suppress(ConnectionError):  # the server may have ended before it is asked
            socket.send_fds(channel, [json.dumps(request).encode()], [theirs.fileno()])
        if not (pid := self._own.recv(20)):
            self._own.close()
            raise RuntimeError("the process that kernels are forked from has ended: what it said stands above")
        self.pid = int(pid)

    def poll(self) -> int | None:
        """Return None while the kernel runs, and 1 afterwards, whatever its exit status."""
        has_ended = self._has_ended or select.select([self._own], [], [], 0)[0]
        return self.wait() if has_ended else None

    def wait(self) -> int:
        if not self._has_ended:
            self._own.recv(1)
            self._own.close()
            self._has_ended = True
        return 1

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)
