"""Read pages: execute their cells, or take the results that were kept."""
