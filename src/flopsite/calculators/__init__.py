"""Let the reader set the sizes of a boxed formula, and show its value."""
