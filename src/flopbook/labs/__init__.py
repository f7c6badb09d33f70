"""What ``make benchmark`` and ``make profile`` run, and the labs show."""
