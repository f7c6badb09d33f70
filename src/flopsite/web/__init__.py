"""Give the site as a whole its styles, metadata, accessibility and search."""
