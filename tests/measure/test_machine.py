"""Test what the machine can do, or why it cannot."""

import pytest
import torch

from flopbook.measure import choose_device, machine
from flopbook.measure.machine import FORMATS, find_roof, measure_products, product


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(machine, "_PATIENCE", 0.001)
    monkeypatch.setattr(machine, "_FEWEST", 1)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_rate_or_a_reason(name, monkeypatch):
    monkeypatch.setattr(machine, "_PATIENCE", 0.01)  # for more than one product, so that the best is not the median
    rate = measure_products(name, "cpu", smallest=32)
    assert bool(rate.missing) != bool(rate.peak)
    assert len(rate.widths) == len(rate.flop_per_s) == len(rate.median_flop_per_s)
    assert all(best >= middle for best, middle in zip(rate.flop_per_s, rate.median_flop_per_s, strict=True))


def test_products_of_zeros_are_products_of_zeros():
    assert product("fp32", "cpu", 3, random=False)().tolist() == 3 * [[0, 0, 0]]
    assert product("fp32", "cpu", 3)().all()


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="format='fp12' is not known"):
        measure_products("fp12", "cpu")


def test_a_device_says_what_it_cannot_do(monkeypatch):
    def refuse(*_):
        raise RuntimeError('"mm" not implemented for this\nstack')

    monkeypatch.setattr(machine, "product", refuse)
    assert measure_products("fp8", "cpu").missing == '"mm" not implemented for this'


def test_a_full_memory_ends_the_sweep(monkeypatch):
    def until_64(name, device, width, random):
        if width > 64:
            raise RuntimeError("out of memory")
        return lambda: torch.ones(())

    monkeypatch.setattr(machine, "product", until_64)
    assert measure_products("fp32", "cpu", smallest=32).widths == (32, 64)


def test_the_precision_of_float32_is_put_back():
    before = torch.get_float32_matmul_precision()
    measure_products("fp32", "cpu", smallest=32)
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")
def test_without_an_accelerator_the_processor_is_measured():
    assert choose_device("auto").word.startswith("There is no accelerator here. The processor is measured: ")
    assert choose_device("cuda") == ("cpu", "There is no 'cuda' here: the processor is measured.")


@pytest.fixture
def two_accelerators(monkeypatch):
    """The number of the current one, in a list."""
    current = [0]
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    monkeypatch.setattr(torch.accelerator, "set_device_index", lambda number: current.__setitem__(0, number))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: f"GPU {current[0]}")
    return current


@pytest.mark.parametrize(("wanted", "number"), [("auto", 0), ("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)])
def test_the_accelerator_that_is_wanted_is_measured(two_accelerators, wanted, number):
    assert choose_device(wanted) == ("cuda", f"GPU {number} is measured.")
    assert two_accelerators == [number]


@pytest.mark.parametrize("wanted", ["cuda:2", "cuda:one", "mps"])
def test_an_accelerator_that_is_not_there_is_named(two_accelerators, wanted):
    assert choose_device(wanted) == ("cpu", f"There is no {wanted!r} here: the processor is measured.")


def reports(monkeypatch, name):
    """Let PyTorch say that an accelerator of this name is here."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: name)
    monkeypatch.setattr(machine, "_measured", lambda dtype, device: (device, dtype, "measured"))


@pytest.mark.parametrize("dtype", ["bf16", torch.bfloat16])
def test_the_roof_of_a_known_accelerator_is_its_data_sheet(monkeypatch, dtype):
    reports(monkeypatch, "NVIDIA H200")
    assert find_roof(None, dtype, "cuda")[:4] == ("H200 SXM", "bf16", 989.4e12, 4.8e12)
    assert find_roof("TPU v4", dtype, "cuda")[:4] == ("TPU v4", "bf16", 275e12, 1.2e12)


@pytest.mark.parametrize(("name", "dtype"), [("NVIDIA Abacus", "bf16"), ("NVIDIA H200", "fp64")])
def test_the_roof_is_measured_where_no_data_sheet_says_it(monkeypatch, name, dtype):
    reports(monkeypatch, name)
    assert find_roof(None, dtype, "cuda") == ("cuda", dtype, "measured")
    assert find_roof(None, dtype, "cpu") == ("cpu", dtype, "measured")
    assert find_roof(None, dtype, "meta") is None


def test_a_processor_has_no_roof_in_a_format_that_it_does_not_run():
    assert find_roof(None, "tf32", "cpu") is None
