"""Search the book by section, box, exercise, term and name, as the reader types."""
