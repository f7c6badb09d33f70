"""Let the reader change and run code in the page."""
