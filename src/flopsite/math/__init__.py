"""Set formulas by KaTeX, box them, index them, and explain their letters."""
