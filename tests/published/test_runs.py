"""Test the share of the peak that model cards' hours give."""

from fractions import Fraction

import pytest

from flopbook.published import named, reported_run


@pytest.mark.parametrize(
    ("name", "tokens", "hours", "device", "length", "dense", "needed"),
    [
        ("Llama 3 8B", 15e12, 1.3e6, "H100 SXM", 8192, 18.8, 16.7),
        ("Llama 3 70B", 15e12, 6.4e6, "H100 SXM", 8192, 31.7, 29.6),
        ("Llama 3.1 405B", 15.6e12, 30.84e6, "H100 SXM", 8192, 37.3, 35.8),
        ("Llama 2 7B", 2e12, 184_320, "A100 SXM 80GB", 4096, 44.5, 41.4),
    ],
)
def test_shares_of_model_cards(  # noqa: PLR0913, PLR0917  (a row of the table)
    name, tokens, hours, device, length, dense, needed
):
    network = named(name).network
    for is_needed, share in ((False, dense), (True, needed)):
        run = reported_run(network, tokens, hours, device, T=length, needed=is_needed)
        assert round(100 * float(run.utilization), 1) == share
        assert run.flops == Fraction(network.step(B=3, T=length, needed=is_needed), 3 * length) * int(tokens)


def test_a_format_with_twice_the_peak_halves_the_share():
    network = named("Llama 3 8B").network
    bf16, fp8 = (reported_run(network, 1e12, 1e5, "H100 SXM", dtype, T=100) for dtype in ("bf16", "fp8"))
    assert abs(bf16.utilization / fp8.utilization - 2) < Fraction(1, 1000)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (dict(device="H101"), "device='H101'"),
        (dict(dtype="fp5"), "dtype='fp5' has no peak"),
        (dict(tokens=-1), "tokens=-1 is not an amount of a run"),
        (dict(device_hours=0), "device_hours=0 is not an amount"),
        (dict(T=0), "T=0"),
        (dict(network="Llama"), "'Llama' is not a model on paper"),
    ],
)
def test_what_cannot_be_is_refused(given, said):
    right = dict(network=named("GPT-2").network, tokens=10**9, device_hours=5, device="H100 SXM", T=64)
    with pytest.raises((TypeError, ValueError), match=said):
        reported_run(**right | given)


def test_a_network_that_reads_no_tokens_is_refused():
    with pytest.raises(ValueError, match="does not read T tokens"):
        reported_run(named("ResNet-50").network, tokens=10**9, device_hours=5, device="H100 SXM", T=64)
