"""Test devices against their data sheets: TFLOP/s, dense and sparse, GB/s, memory, and GB/s of links."""

import pytest

from flopbook.devices import DEVICES

HOPPER = (
    "fp32 66.9, tf32 494.7, bf16 989.4, fp16 989.4, fp8 1978.9",
    "tf32 989.4, bf16 1978.9, fp16 1978.9, fp8 3957.8",
)
#: Written from the source a second time, so that a slip in `devices.py` is noticed.
DATA_SHEETS = {
    "A100 SXM 80GB": ("fp32 19.5, tf32 156, bf16 312, fp16 312", "tf32 312, bf16 624, fp16 624", 2039, "80 GB", 600),
    "H100 SXM": (*HOPPER, 3350, "80 GB", 900),
    "H200 SXM": (*HOPPER, 4800, "141 GB", 900),
    "B200 HGX": (
        "fp32 80, tf32 1100, bf16 2250, fp16 2250, fp8 4500, fp4 9000",
        "tf32 2200, bf16 4500, fp16 4500, fp8 9000, fp4 18000",
        8000,
        "192 GB",
        1800,
    ),
    "MI300X": ("bf16 1307, fp16 1307, fp8 2615", "", 5300, "192 GB", 896),
    "TPU v4": ("bf16 275", "", 1200, "32 GiB", None),
    "TPU v5e": ("bf16 197", "", 819, "16 GB", 400),
    "TPU v5p": ("bf16 459", "", 2765, "95 GiB", 1200),
    "TPU v6e": ("bf16 918", "", 1638, "32 GB", 800),
    "TPU7x": ("bf16 2307, fp8 4614", "", 7380, "192 GiB", 1200),
}
BYTES = {"GB": 10**9, "GiB": 2**30}


def tera(figures: str) -> dict[str, float]:
    pairs = (figure.split() for figure in figures.split(", ") if figure)
    return {name: pytest.approx(float(figure) * 1e12) for name, figure in pairs}


def test_every_device_stands_here_and_every_sheet_is_a_device():
    assert set(DEVICES) == set(DATA_SHEETS), "write the figures of a new device into DATA_SHEETS, from its source"


@pytest.mark.parametrize("name", DATA_SHEETS)
def test_a_device_has_the_figures_of_its_data_sheet(name):
    dense, sparse, bandwidth, memory, links = DATA_SHEETS[name]
    size, unit = memory.split()
    assert DEVICES[name].peak_flop_per_s == tera(dense)
    assert DEVICES[name].sparse_peak_flop_per_s == tera(sparse)
    assert DEVICES[name].bytes_per_s == pytest.approx(bandwidth * 1e9)
    assert DEVICES[name].memory_bytes == int(size) * BYTES[unit]
    assert DEVICES[name].link_bytes_per_s == (links and pytest.approx(links * 1e9))
