"""How far the build is."""

import sys


class Progress:
    """One line a page, as it happens."""

    def __init__(self, total: int):
        self.total = total
        self.done = 0

    def start(self, docname: str) -> None:
        """Show the page that begins, where the line can be written over."""
        self.done += 1
        if sys.stdout.isatty():
            print(f"[{self.done}/{self.total}] {docname} ...", end="\r", flush=True)

    def finish(self, docname: str, result: str) -> None:
        """Say how the page went."""
        print(f"[{self.done}/{self.total}] {docname}  {result}", flush=True)
