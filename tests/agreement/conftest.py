"""Choose where agreement is tested."""

import pytest
import torch

from flopbook.predict import TrainingStep
from tests.support.reports import quick_reports  # noqa: F401  (pytest finds it here)


@pytest.fixture(scope="module", params=["cpu", "accelerator"])
def device(request):
    """Give the processor, then the accelerator where there is one."""
    if request.param == "cpu":
        return torch.device("cpu")
    if not torch.accelerator.is_available():
        pytest.skip("this machine has no accelerator that PyTorch can use: agreement is tested on the CPU only")
    return torch.accelerator.current_accelerator()


@pytest.fixture(scope="session")
def without():
    """Forget one product of a training step: what must never agree."""

    def forget(step, number):
        number %= len(step.forward + step.backward)
        forward, backward = list(step.forward), list(step.backward)
        if number < len(forward):
            del forward[number]
        else:
            del backward[number - len(forward)]
        return TrainingStep(tuple(forward), tuple(backward))

    return forget
