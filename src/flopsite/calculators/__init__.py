"""Calculators: the reader sets the sizes of a boxed formula and sees its value."""
