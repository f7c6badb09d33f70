"""Derive, count and time the floating-point operations of a training step.

Nothing is exported here, so that every import names its side:
``from flopbook.predict.steps import matmul`` predicts, ``from flopbook.measure.counting.count
import FlopCount`` measures, and only ``flopbook.comparison`` sees both.
"""
