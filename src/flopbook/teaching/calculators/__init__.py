"""Make calculators of formulas: what a reader sets, what follows, and the JavaScript that computes it exactly."""
