"""Test devices against their data sheets: TFLOP/s, dense and sparse, and GB/s."""

import pytest

from flopbook.predict.devices import DEVICES

DATA_SHEETS = {
    "A100 SXM 80GB": ("fp32 19.5, tf32 156, bf16 312, fp16 312", "tf32 312, bf16 624, fp16 624", 2039),
    "H100 SXM": (
        "fp32 66.9, tf32 494.7, bf16 989.4, fp16 989.4, fp8 1978.9",
        "tf32 989.4, bf16 1978.9, fp16 1978.9, fp8 3957.8",
        3350,
    ),
    "TPU v4": ("bf16 275", "", 1200),
    "TPU v5e": ("bf16 197", "", 819),
    "TPU v5p": ("bf16 459", "", 2765),
    "TPU v6e": ("bf16 918", "", 1638),
    "TPU7x": ("bf16 2307, fp8 4614", "", 7380),
}


def tera(figures: str) -> dict[str, float]:
    pairs = (figure.split() for figure in figures.split(", ") if figure)
    return {name: pytest.approx(float(figure) * 1e12) for name, figure in pairs}


@pytest.mark.parametrize("name", DATA_SHEETS)
def test_a_device_has_the_figures_of_its_data_sheet(name):
    dense, sparse, bandwidth = DATA_SHEETS[name]
    assert DEVICES[name].peak_flop_per_s == tera(dense)
    assert DEVICES[name].sparse_peak_flop_per_s == tera(sparse)
    assert DEVICES[name].bytes_per_s == pytest.approx(bandwidth * 1e9)
