"""Test that work which the dispatcher never sees is named where it is known."""

import warnings
from types import SimpleNamespace

import numpy
import pytest
import torch
from torch import nn

from flopbook.measure import FlopCount
from flopbook.measure.counting.unseen import fused_in


class Halve(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return torch.from_numpy(x.detach().numpy() / 2)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, gradient):
        return torch.from_numpy(gradient.numpy() / 2)


def test_numpy_in_an_autograd_function_is_named():
    x = torch.ones(3, requires_grad=True)
    with pytest.warns(UserWarning) as caught, FlopCount() as counted:
        Halve.apply(x).sum().backward()
    assert counted.uncounted == {"NumPy in Halve": 2}
    assert str(caught[0].message).startswith("no rule for NumPy in Halve (2 calls): not counted.")


class HalveArray(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.from_numpy(numpy.asarray(x.detach()) / 2)


def test_an_array_made_of_a_tensor_in_an_autograd_function_is_named():
    with pytest.warns(UserWarning, match="no rule for NumPy in HalveArray"), FlopCount() as counted:
        HalveArray.apply(torch.ones(3))
    assert "NumPy in HalveArray" in counted.uncounted


class Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.from_dlpack(numpy.from_dlpack(x.detach()) / 2)


def test_another_library_in_an_autograd_function_is_named():
    with pytest.warns(UserWarning, match="another library in Through"), FlopCount() as counted:
        Through.apply(torch.ones(3))
    assert "another library in Through" in counted.uncounted


class HalveAgain(Halve):
    pass


def test_a_function_is_named_by_the_class_that_has_its_methods():
    with pytest.warns(UserWarning, match="no rule for NumPy in Halve "), FlopCount() as counted:
        HalveAgain.apply(torch.ones(3))
    assert counted.uncounted == {"NumPy in Halve": 1}


def test_an_array_is_made_as_it_is_asked_for(count):
    x, arrays = torch.ones(3, requires_grad=True), []
    count(lambda: arrays.append(x.numpy(force=True)))
    assert arrays[0].tolist() == [1, 1, 1]


def test_reading_a_result_as_an_array_is_not_work(count):
    x = torch.ones(3, 3)
    counted = count(lambda: (x @ x).numpy().sum())
    assert counted.uncounted == {}


def test_numpy_is_handed_over_as_before_once_the_block_ends():
    before = dict(vars(torch.Tensor))
    with FlopCount(), FlopCount():
        pass
    assert dict(vars(torch.Tensor)) == before


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_script_whose_operators_are_fused_is_named():
    model = torch.jit.optimize_for_inference(torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3)).eval()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.no_grad(), FlopCount() as counted:
            model(torch.ones(2, 3, 5, 5))
    assert counted.forward or {*counted.uncounted.values()} == {1}


def test_nodes_that_run_several_operators_are_fused_however_they_are_spelled():
    graph = "prim::FusionGroup_0 prim::MKLDNNGroup prim::mkldnn_convolution prim::ConstantMKLDNNTensor aten::mm"
    assert fused_in(SimpleNamespace(inlined_graph=graph)) == [
        "prim::FusionGroup_0", "prim::MKLDNNGroup", "prim::mkldnn_convolution",
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_frozen_script_whose_operators_are_seen_is_counted(count):
    model = torch.jit.freeze(torch.jit.script(nn.Sequential(nn.Linear(5, 3)).eval()))
    counted = count(lambda: model(torch.ones(7, 5)))
    assert (counted.forward, counted.uncounted) == (2 * 7 * 5 * 3, {})


def test_tensors_are_as_before_once_the_block_ends(count):
    before = dict(vars(torch.Tensor))
    count(lambda: torch.ones(2).sum())
    assert dict(vars(torch.Tensor)) == before
