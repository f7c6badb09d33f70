"""Make one small training step that several tests measure."""

import pytest
import torch
from torch import nn

from tests.support.reports import quick_reports  # noqa: F401  (pytest finds it here)


@pytest.fixture
def adamw():
    """Make a step of AdamW on two layers with SiLU; `adamw.model` is the model."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.SiLU(), nn.Linear(7, 3))
    optimizer, x = torch.optim.AdamW(model.parameters()), torch.randn(11, 5)

    def step():
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    step.model = model
    return step
