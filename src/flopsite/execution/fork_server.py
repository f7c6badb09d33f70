"""Import what pages import, and fork a kernel for each request.

`kernel.py` starts this file as a script with the names of the modules, and sends a request for each kernel through a
socket: folder, environment and arguments as JSON, together with a socket for the kernel alone, which closes when the
kernel ends.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from typing import Any

_LONGEST_REQUEST = 1 << 20  # bytes


def serve(channel: socket.socket) -> tuple[dict[str, Any], int]:
    """Fork for each request and return in the child; exit when the build has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that a kernel that has ended leaves no zombie process
    while True:
        request, files, *_ = socket.recv_fds(channel, _LONGEST_REQUEST, 1)
        if not request:
            sys.exit()
        if os.fork() == 0:
            channel.close()
            return json.loads(request), files[0]
        os.close(files[0])


def become_kernel(request: dict[str, Any], own: int) -> None:
    """Start the kernel in its process group, folder and environment, as ipykernel_launcher does."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.write(own, str(os.getpid()).encode())
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[:0] = [os.path.abspath(name) for name in os.environ.get("PYTHONPATH", "").split(os.pathsep) if name]
    # ipykernel ends a kernel whose parent is gone.
    sys.argv = ["ipykernel_launcher", *request["arguments"], f"--IPKernelApp.parent_handle={os.getppid()}"]
    sys.modules["numpy"].random.seed()  # without a new seed all pages would draw the same numbers
    runpy.run_module("ipykernel_launcher", run_name="__main__")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the build handles Ctrl-C, and then ends the kernels
    del sys.path[0]  # this folder
    for module in sys.argv[2:]:
        importlib.import_module(module)
    gc.freeze()  # so that garbage collection in a child leaves this memory shared
    become_kernel(*serve(socket.socket(fileno=int(sys.argv[1]))))
