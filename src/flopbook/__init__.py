"""Derive, count and time the floating-point operations of a training step.

Nothing is re-exported here, so that every import names the side that speaks:
``from flopbook.predict.steps import matmul`` predicts, ``from flopbook.measure.counting.count
import FlopCount`` measures, and only ``flopbook.comparison`` sees both.
"""
