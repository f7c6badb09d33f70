"""What the unit tests share."""

import pytest

from flopbook.counting import FlopCount


@pytest.fixture
def count():
    """Count one step; an operator without a rule warns, and so fails the test."""

    def counted(step):
        with FlopCount() as count:
            step()
        return count

    return counted
