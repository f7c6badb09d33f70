"""Give figures to draw in, and close what tests leave open."""

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def _close_figures():
    plt.close("all")  # also those that tests elsewhere left open
    yield
    plt.close("all")


@pytest.fixture
def axes():
    return plt.subplots()[1]


@pytest.fixture
def texts():
    return lambda labels: [label.get_text() for label in labels]
