"""Test what keeps the compiler away."""

import torch

from flopbook.measure.counting.compiled import never_compiled


def test_a_function_is_kept_from_the_compiler():
    compiled = []

    def double(x):
        return 2 * x

    @never_compiled
    def twice(x):
        return 2 * x

    for function in (double, twice):
        run = torch.compile(function, backend=lambda graph, _, name=function.__name__: compiled.append(name) or graph)
        assert run(torch.ones(1)) == 2
    assert compiled == ["double"]
