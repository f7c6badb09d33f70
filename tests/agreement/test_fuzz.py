"""Test random networks: what is counted is what their shapes say.

`make fuzz N=10000` tries other networks, as many as one likes; the tests try the same ones each time.
"""

import os

from hypothesis import given, settings
from torch.utils.flop_counter import FlopCounterMode

from flopbook.measure import FlopCount
from tests.support.networks import Cost, Network, networks

MANY = int(os.environ.get("FUZZ", "0"))


def step(network: Network):
    """Make a training step as a function, without gradients where nothing is trained."""
    model, x = network.build()

    def run():
        y = model(x)
        if y.requires_grad:
            y.float().square().mean().backward()

    return run


@settings(max_examples=MANY or 120, derandomize=not MANY)
@given(networks())
def test_a_random_network_counts_as_its_shapes_say(network):
    costs = network.costs()
    with FlopCount() as counted:
        step(network)()
    derived = Cost(*(sum(getattr(cost, phase) for cost in costs) for phase in Cost._fields[:4]))
    assert counted.uncounted == {}
    assert (counted.forward, counted.backward, counted.recomputed) == derived[:3]
    if all(cost.known for cost in costs):
        with FlopCounterMode(display=False) as torch_counts:
            step(network)()
        assert torch_counts.get_total_flops() == sum(derived[:3])
    else:
        assert sum(counted.masked.values()) == derived.masked
