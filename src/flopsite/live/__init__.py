"""Live cells: code that the reader changes and runs in the page."""
