"""Show exercises and questions that the page checks."""
