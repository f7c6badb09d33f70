"""What belongs to the site as a whole: styles, metadata, accessibility, search."""
