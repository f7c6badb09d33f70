"""Count what runs: each operator by its rule, with its phase and its module."""
