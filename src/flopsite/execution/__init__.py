"""Read pages: execute their cells, or take kept results."""
