"""Formulas: set by KaTeX, boxed, gathered in an index, with letters that say what they mean."""
