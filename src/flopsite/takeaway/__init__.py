"""Write what a reader takes away: notebooks, the package, the PDF."""
