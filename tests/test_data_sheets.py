"""Test devices against their data sheets: TFLOP/s, dense and sparse, GB/s, memory, and GB/s of links."""

import pytest

from flopbook.devices import DEVICES

HOPPER = (
    "fp32 66.9, tf32 494.7, bf16 989.4, fp16 989.4, fp8 1978.9",
    "tf32 989.4, bf16 1978.9, fp16 1978.9, fp8 3957.8",
)
CDNA_3 = "fp32 163.4, tf32 653.7, bf16 1307, fp16 1307, fp8 2615"
#: Written from the source a second time, so that a slip in `devices.py` is noticed.
DATA_SHEETS = {
    "A100 SXM 80GB": ("fp32 19.5, tf32 156, bf16 312, fp16 312", "tf32 312, bf16 624, fp16 624", 2039, "80 GB", 600),
    "H100 SXM": (*HOPPER, 3350, "80 GB", 900),
    "H200 SXM": (*HOPPER, 4800, "141 GB", 900),
    "B200 HGX": (
        "fp32 80, tf32 1100, bf16 2250, fp16 2250, fp8 4500, fp4 9000",
        "tf32 2200, bf16 4500, fp16 4500, fp8 9000, fp4 18000",
        8000,
        "180 GB",
        1800,
    ),
    "B300 HGX": (
        "fp32 75, tf32 1125, bf16 2250, fp16 2250, fp8 4500",
        "tf32 2250, bf16 4500, fp16 4500, fp8 9000",
        8000,
        "270 GB",
        1800,
    ),
    "GB200 NVL72": (
        "tf32 1250, bf16 2500, fp16 2500, fp8 5000, fp4 10000",
        "tf32 2500, bf16 5000, fp16 5000, fp8 10000, fp4 20000",
        8000,
        "186 GB",
        1800,
    ),
    "GB300 NVL72": ("fp32 80, tf32 1250, bf16 2500, fp16 2500, fp8 5000, fp4 15000", "", 8000, "279 GB", 1800),
    "H100 PCIe": ("fp32 51, tf32 378, bf16 756, fp16 756, fp8 1513", "", 2000, "80 GB", None),
    "H20": ("fp32 44, tf32 74, bf16 148, fp16 148", "", 4000, "96 GB", 900),
    "L40S": (
        "fp32 91.6, tf32 183, bf16 362.05, fp16 362.05, fp8 733",
        "tf32 366, bf16 733, fp16 733, fp8 1466",
        864,
        "48 GB",
        None,
    ),
    "L4": ("tf32 60, bf16 121, fp16 121, fp8 242.5", "tf32 120, bf16 242, fp16 242, fp8 485", 300, "24 GB", None),
    "RTX 5090": ("fp32 104.8, tf32 104.8, bf16 209.5, fp16 209.5, fp8 419", "", 1792, "32 GB", None),
    "RTX 4090": ("fp32 82.6, tf32 82.6, bf16 165.2, fp16 165.2, fp8 330.3", "", 1008, "24 GB", None),
    "RTX 3090": ("fp32 35.6, tf32 35.6, bf16 71, fp16 71", "", 936, "24 GB", None),
    "MI300X": (CDNA_3, "", 5300, "192 GB", 896),
    "MI325X": (CDNA_3, "", 6000, "256 GB", 896),
    "MI355X": (
        "fp32 157.3, bf16 2500, fp16 2500, fp8 5000, fp4 10100",
        "fp16 5000, fp8 10100",
        8000,
        "288 GB",
        1071,
    ),
    "Gaudi 3": ("tf32 459, bf16 1677, fp8 1677", "", 3700, "128 GB", 1200),
    "Trainium 2": (
        "tf32 667, bf16 667, fp16 667, fp8 1299",
        "tf32 2563, bf16 2563, fp16 2563, fp8 2563",
        2900,
        "96 GiB",
        1280,
    ),
    "Trainium 3": (
        "tf32 671, bf16 671, fp16 671, fp8 2517",
        "tf32 2517, bf16 2517, fp16 2517",
        4900,
        "144 GiB",
        2560,
    ),
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
