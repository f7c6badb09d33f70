"""Open pages in JupyterLab as a reader of the site sees them, and keep their text as it is."""
