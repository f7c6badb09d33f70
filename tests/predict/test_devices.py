"""Test what holds between the figures of one device."""

import re

import pytest

from flopbook.predict.devices import DEVICES, Device

devices = pytest.mark.parametrize("device", DEVICES.values(), ids=list(DEVICES))


@devices
def test_every_figure_has_a_source_and_a_date(device):
    assert "https://" in device.source
    assert re.fullmatch(r"20\d\d-\d\d", device.date)


@devices
def test_figures_are_in_flop_bytes_and_seconds(device):
    assert all(1e13 < peak < 1e17 for peak in device.peak_flop_per_s.values())
    assert 1e11 < device.bytes_per_s < 1e14
    assert 10e9 < device.memory_bytes < 1e13
    assert device.link_bytes_per_s is None or 1e11 < device.link_bytes_per_s < device.bytes_per_s
    fastest = max(peak for name, peak in device.peak_flop_per_s.items() if name in ("bf16", "fp16", "fp32"))
    assert 50 < fastest / device.bytes_per_s < 1000


@devices
def test_sparsity_is_faster_and_never_the_peak(device):
    for dtype, sparse in device.sparse_peak_flop_per_s.items():
        assert sparse > device.peak_flop_per_s[dtype], dtype


@devices
def test_fewer_bits_are_never_slower(device):
    formats = ("tf32", "bf16", "fp8", "fp4")
    peaks = [device.peak_flop_per_s[dtype] for dtype in formats if dtype in device.peak_flop_per_s]
    assert peaks == sorted(peaks)


def test_a_device_is_described_by_names():
    with pytest.raises(TypeError):
        Device("A", {"bf16": 1e15}, 1e12, 10**11, "https://", "2026-11")
