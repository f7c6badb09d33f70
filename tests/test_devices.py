"""Test what holds between the figures of one device."""

import re

import pytest

from flopbook.devices import DEVICES, Device, find_device, find_peak

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
    assert 30 < fastest / device.bytes_per_s < 1000


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


@devices
def test_a_device_is_found_by_its_name_and_by_those_of_its_driver(device):
    assert all(find_device(name) is device for name in (device.name, *device.reported))


def test_no_two_devices_share_a_name():
    names = [name for device in DEVICES.values() for name in (device.name, *device.reported)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("A100", "did you mean 'A100 SXM 80GB'?"),
        ("H100", "did you mean 'H100 SXM' or 'H100 PCIe'?"),
        ("RTX4090", "did you mean 'RTX 4090'"),
        ("NVIDIA GeForce RTX 4090 D", "did you mean 'RTX 4090'"),
        ("h100 sxm", "did you mean 'H100 SXM'?"),
        ("NVIDIA H100-SXM", "did you mean 'H100 SXM'?"),
        ("TPUv5p", "did you mean 'TPU v5p' or"),
        ("cuda", "known are 'A100 SXM 80GB', "),
        ("", "known are 'A100 SXM 80GB', "),
    ],
)
def test_a_device_that_is_not_known_is_quoted_with_names_that_come_near(name, advice):
    with pytest.raises(ValueError) as error:
        find_device(name)
    assert str(error.value).startswith(f"device={name!r} is not a device whose data sheet is known here: {advice}")


def test_a_name_of_a_million_letters_is_quoted_by_its_beginning():
    with pytest.raises(ValueError) as error:
        find_device("H100 " * 200_000)
    assert len(str(error.value)) < 250


def test_a_device_is_asked_for_in_words():
    with pytest.raises(TypeError, match=r"device=100 is not a name: write one such as 'H100 SXM'"):
        find_device(100)


@devices
def test_every_peak_is_found_and_no_sparse_one(device):
    for dtype, peak in device.peak_flop_per_s.items():
        assert find_peak(device.name, dtype) == peak


@pytest.mark.parametrize("dtype", ["fp12", "", None, 16, ["bf16"]])
def test_a_format_without_a_peak_is_quoted_with_those_that_have_one(dtype):
    with pytest.raises(ValueError) as error:
        find_peak("TPU7x", dtype)
    assert str(error.value) == f"dtype={dtype!r} has no peak on the data sheet of the TPU7x: write one of 'bf16', 'fp8'"
