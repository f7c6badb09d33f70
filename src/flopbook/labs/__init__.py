"""Run what ``make benchmark``, ``make profile``, ``make accelerator`` and the labs measure."""
