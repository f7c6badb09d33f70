"""Print the build's progress."""

import sys


class Progress:
    """Prints a line for each finished page, and on a terminal the pages that run."""

    def __init__(self, total: int):
        self.total = total
        self.finished = 0
        self.running: list[str] = []

    def start(self, docname: str) -> None:
        """Show that a page starts."""
        self.running.append(docname)
        self._show_running()

    def finish(self, docname: str, result: str) -> None:
        """Print how a page ended."""
        self.finished += 1
        if docname in self.running:
            self.running.remove(docname)
        clear = "\x1b[2K" if sys.stdout.isatty() else ""
        print(f"{clear}[{self.finished}/{self.total}] {docname}  {result}", flush=True)
        self._show_running()

    def _show_running(self) -> None:
        if sys.stdout.isatty() and self.running:
            print(f"\x1b[2K{', '.join(self.running)} ...", end="\r", flush=True)
