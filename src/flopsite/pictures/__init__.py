"""Show pictures that a reader can turn; they are made by `flopbook.drawing`."""
