"""A count as plain data that any measurement fills in. Nothing here imports torch or SymPy."""
