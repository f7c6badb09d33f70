"""Hold a count as plain data, without torch or SymPy; any measurement fills it in."""
