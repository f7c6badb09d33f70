"""What the data sheets promise, and what holds between the figures of one device."""

import re
from itertools import pairwise

import pytest

from flopbook.predict.devices import DEVICES

devices = pytest.mark.parametrize("device", DEVICES.values(), ids=list(DEVICES))


@devices
def test_every_figure_has_a_source_and_a_date(device):
    assert "https://" in device.source
    assert re.fullmatch(r"20\d\d-\d\d", device.date)


@devices
def test_devices_are_found_by_name(device):
    assert DEVICES[device.name] is device


@devices
def test_figures_are_in_flop_and_bytes_per_second(device):
    assert all(1e12 < peak < 1e17 for peak in device.peak_flop_per_s.values())
    assert 1e10 < device.bytes_per_s < 1e14
    assert 10 < max(device.peak_flop_per_s.values()) / device.bytes_per_s < 10_000


@devices
def test_sparsity_doubles_and_is_never_the_peak(device):
    for dtype, sparse in device.sparse_peak_flop_per_s.items():
        assert sparse == pytest.approx(2 * device.peak_flop_per_s[dtype], rel=1e-3)


@devices
def test_half_the_bits_are_twice_as_fast(device):
    peaks = [device.peak_flop_per_s[dtype] for dtype in ("tf32", "bf16", "fp8") if dtype in device.peak_flop_per_s]
    assert all(fast == pytest.approx(2 * slow, rel=1e-3) for slow, fast in pairwise(peaks))
