"""Test the time of a step on a mesh, worked out by hand for a small cluster, and the search for meshes."""

from itertools import product

import pytest

from flopbook.predict.models import PUBLISHED
from flopbook.predict.parallel.planning import Cluster, plan, search
from flopbook.predict.parallel.ranks import Mesh, Training, rank_of_mesh

SMALL = dict(B=12, T=40, L=6, D=30, H=12, G=4, E=7, F=44, V=52, matrices=3, tables=2)
LLAMA = PUBLISHED["Llama 3 405B"]
PEAK = 989.4e12


def seconds(one, axis, rate, *phases):
    """Return the seconds of a rank's collectives along an axis, in all phases unless told."""
    sent = one.transfers.get(axis, ())
    return sum(int(transfer.ring) for transfer in sent if not phases or transfer.phase in phases) / rate


def test_one_device_takes_the_time_of_its_flops():
    one = plan(SMALL, Mesh(), Cluster(1), Training(micro=12))
    flops = rank_of_mesh(SMALL, Mesh(), Training(micro=12))
    assert one.seconds == one.compute == (flops.forward + flops.backward) / PEAK
    assert (one.mfu, one.bubble, one.exposed, one.waiting) == (pytest.approx(1), 0, {}, 0)


@pytest.mark.parametrize("mesh", [Mesh(tensor=4), Mesh(data=2, pipeline=3)], ids=str)
def test_the_utilization_is_the_share_of_all_peaks_that_the_model_takes(mesh):
    alone = rank_of_mesh(SMALL, Mesh(), Training(micro=12))
    one = plan(SMALL, mesh, Cluster(mesh.devices))
    assert one.mfu == pytest.approx((alone.forward + alone.backward) / (one.seconds * mesh.devices * PEAK))


def test_tensor_ranks_wait_for_their_sums_at_the_rate_of_the_node():
    one = plan(SMALL, Mesh(tensor=4), Cluster(4))
    wait = seconds(rank_of_mesh(SMALL, Mesh(tensor=4)), "tensor", 450e9)
    assert one.exposed == {"tensor": pytest.approx(wait)}
    for node, rings in ((1, 1), (2, 2), (3, 3)):  # as many leave a node side by side
        slow = plan(SMALL, Mesh(tensor=4), Cluster(4, node=node, between_bytes_per_s=9e9))
        assert slow.exposed["tensor"] == pytest.approx(50 / rings * one.exposed["tensor"])


def test_eight_devices_share_a_node_unless_told():
    assert (Cluster(9).bytes_per_s(8), Cluster(9).bytes_per_s(9)) == (450e9, 50e9)


def test_a_ring_among_nodes_goes_over_the_networks_of_all_its_ranks_in_a_node():
    mesh = Mesh(data=3, tensor=4)  # two of the three share a node of eight
    one, ranks = plan(SMALL, mesh, Cluster(12)), rank_of_mesh(SMALL, mesh)
    assert one.exposed["data"] + one.hidden["data"] == pytest.approx(seconds(ranks, "data", 2 * 50e9))


def test_gradients_hide_behind_the_last_backward_pass():
    mesh, fast = Mesh(data=4), Cluster(4, between_bytes_per_s=1e9)
    one = plan(SMALL, mesh, fast, Training(zero=0))
    ranks = rank_of_mesh(SMALL, mesh, Training(zero=0))
    sent = seconds(ranks, "data", 450e9)
    assert one.exposed["data"] == pytest.approx(sent - ranks.backward / PEAK / 3)  # of three micro-batches
    assert one.hidden["data"] == pytest.approx(ranks.backward / PEAK / 3)
    long = plan(SMALL | dict(T=40_000), mesh, fast, Training(zero=0))
    assert "data" not in long.exposed and long.hidden["data"] == pytest.approx(sent)


@pytest.mark.parametrize(("zero", "passes"), [(0, 1), (1, 1), (2, 3), (3, 3)])
def test_from_zero_2_on_sums_of_gradients_hide_behind_each_backward_pass(zero, passes):
    mesh, training = Mesh(data=4), Training(zero=zero)
    one, ranks = plan(SMALL, mesh, Cluster(4), training), rank_of_mesh(SMALL, mesh, training)
    forward, backward = ranks.forward / PEAK, ranks.backward / PEAK  # of three micro-batches
    waits = 0
    for phase, behind in (("forward", forward), ("backward", backward / 3 * passes), ("optimizer", forward / 3)):
        waits += max(0, seconds(ranks, "data", 450e9, phase) - behind)
    assert one.exposed["data"] == pytest.approx(waits)


@pytest.mark.parametrize("layers", [6, 7])  # spread evenly, and with one left for the middle
def test_results_and_gradients_hide_behind_the_passes_of_their_direction(layers):
    mesh, slow = Mesh(pipeline=3), Cluster(3, node=1, between_bytes_per_s=1e9)
    sizes = SMALL | dict(L=layers)
    middle = rank_of_mesh(sizes, mesh, stage=1)  # it alone sends both
    sent = seconds(middle, "pipeline", 1e9)
    assert plan(sizes, mesh, slow).exposed == {
        "pipeline": pytest.approx(sent - (middle.forward + middle.backward) / PEAK)
    }


def test_results_hide_behind_what_products_wait_for_too():
    mesh, sizes = Mesh(tensor=2, expert=2, pipeline=3), SMALL | dict(X=6, K=2)
    one = plan(sizes, mesh, Cluster(12, node=4, between_bytes_per_s=1e9))
    middle = rank_of_mesh(sizes, mesh, stage=1)
    waits = {axis: seconds(middle, axis, 450e9) for axis in ("tensor", "expert")}
    passes = (middle.forward + middle.backward) / PEAK + sum(waits.values())
    waits["pipeline"] = seconds(middle, "pipeline", 1e9) - passes
    assert {axis: one.exposed[axis] for axis in waits} == pytest.approx(waits)


@pytest.mark.parametrize(("checkpoints", "passes"), [("none", 2), ("full", 3)])  # the forward one runs again, too
def test_keys_and_values_hide_behind_the_scores_of_their_pass(checkpoints, passes):
    mesh, training = Mesh(context=4), Training(checkpoints=checkpoints)
    one = plan(SMALL, mesh, Cluster(4), training)
    ranks = rank_of_mesh(SMALL, mesh, training)
    scores = ranks.attention / PEAK
    ahead, back = (seconds(ranks, "context", 450e9, *phases) for phases in (["forward"], ["recomputed", "backward"]))
    assert one.hidden["context"] == pytest.approx((1 + passes) * scores)
    assert one.exposed["context"] == pytest.approx(ahead + back - (1 + passes) * scores)


def test_the_bubble_is_a_share_of_what_the_pipeline_takes():
    one = plan(SMALL, Mesh(pipeline=3), Cluster(3, between_bytes_per_s=1e9))
    assert one.bubble == pytest.approx(2 / 14)
    assert one.waiting == pytest.approx((one.seconds - one.exposed.get("data", 0)) / 7)
    long = SMALL | dict(T=4000)
    one = plan(long, Mesh(pipeline=3), Cluster(3))
    last = rank_of_mesh(long, Mesh(pipeline=3), stage=2)
    assert one.compute == pytest.approx((last.forward + last.backward) / PEAK)  # it has the output layer besides


@pytest.mark.parametrize(("layers", "stages"), [(5, 4), (6, 5), (7, 5), (10, 5)])
def test_the_stages_that_are_planned_have_the_slowest_and_the_fullest_one_among_them(layers, stages):
    mesh, sizes = Mesh(pipeline=stages), SMALL | dict(L=layers)
    every, planned = [rank_of_mesh(sizes, mesh, stage=stage) for stage in range(stages)], plan(sizes, mesh).ranks
    for amount in (lambda one: one.forward, lambda one: one.held.total, lambda one: seconds(one, "pipeline", 1)):
        assert max(map(amount, planned)) == max(map(amount, every))


def test_a_share_of_the_peak_stretches_products_alone():
    mesh, cluster = Mesh(tensor=4), Cluster(4)
    one, slower = (plan(SMALL, mesh, each) for each in (cluster, Cluster(4, efficiency=0.5)))
    assert slower.compute == 2 * one.compute
    assert slower.exposed == one.exposed


def test_checkpoints_add_time_and_no_model_flops():
    training = [Training(micro=12, checkpoints=kind) for kind in ("none", "full")]
    none, full = (plan(SMALL, Mesh(), Cluster(1), each) for each in training)
    assert full.model_flops == none.model_flops
    assert 1.3 < full.seconds / none.seconds < 4 / 3  # the output layer does not run again


@pytest.mark.parametrize(
    ("devices", "mesh"), [(8_192, Mesh(64, 8, 1, 16)), (16_384, Mesh(128, 8, 1, 16))], ids=["half", "all"]
)
def test_the_search_finds_the_meshes_of_llama_3(devices, mesh):
    found = search(LLAMA | dict(B=2048), Cluster(devices), fixed=dict(context=1))
    assert (found[0].mesh, found[0].training.chunks, found[0].training.checkpoints) == (mesh, 8, "selective")
    assert [one.seconds for one in found] == sorted(one.seconds for one in found)
    assert all(one.memory <= 80e9 and one.mesh.devices == devices for one in found)
    assert len({(one.mesh, one.training.chunks) for one in found}) == len(found)


def test_the_search_leaves_out_nothing_that_fits_and_is_faster():
    cluster, sizes = Cluster(12, "L40S", node=1, between_bytes_per_s=25e9), PUBLISHED["Llama 3 8B"] | dict(B=24, T=512)
    best = search(sizes, cluster, Training(zero=3), checkpoints=["none"], chunks=[1])[0]
    every = [
        plan(sizes, Mesh(data, 1, context, pipeline), cluster, Training(zero=3))
        for data in (1, 2, 3, 4, 6, 12) for context in (1, 2, 4) for pipeline in (1, 2, 3, 4, 6, 12)
        if data * context * pipeline == 12
    ]  # fmt: skip
    assert best.seconds == min(one.seconds for one in every if not one.short)


@pytest.mark.parametrize(("sizes", "tensors"), [(dict(T=42, H=6, G=6), {1, 2}), (dict(X=6, K=2, T=2), {1, 2, 4})])
def test_the_search_tries_each_mesh_of_all_devices_that_divides_the_sizes(sizes, tensors):
    sizes = SMALL | sizes
    tried = search(sizes, Cluster(12, node=4), Training(sequence=False), checkpoints=["none"], chunks=[1])
    assert {one.mesh for one in tried} == {
        Mesh(data, tensor, context, pipeline, expert)
        for data, tensor, context, pipeline, expert in product([1, 2, 3, 4, 6, 12], repeat=5)
        if data * tensor * context * pipeline * expert == 12 and tensor in tensors and pipeline <= 6
        and sizes["T"] % context == sizes["B"] % (data * expert) == sizes.get("X", 1) % expert == 0
    }  # fmt: skip


@pytest.mark.parametrize("devices", [2, 3, 4])
def test_the_search_tries_all_chunks_that_blocks_and_micro_batches_allow(devices):
    tried = search(SMALL, Cluster(devices), checkpoints=["none"], chunks=range(1, 9), fixed=dict(pipeline=devices))
    possible = [chunks for chunks in range(1, 9) if chunks * devices <= 6 + 2]  # two more than blocks, for both ends
    assert sorted(one.training.chunks for one in tried) == possible
    odd = search(
        SMALL | dict(B=11), Cluster(devices), checkpoints=["none"], chunks=[1, 2], fixed=dict(pipeline=devices)
    )
    assert [one.training.chunks for one in odd] == [1]  # no number of chunks but one takes any number of micro-batches
    flat = search(SMALL, Cluster(devices), checkpoints=["none"], chunks=[1, 2], fixed=dict(pipeline=1))
    assert {one.training.chunks for one in flat} == {1}


def test_the_search_tries_the_tensor_ranks_that_divide_heads_and_widths():
    for devices, tensor in ((4, [1, 2, 4]), (3, [1])):  # of 12 heads, 4 have keys
        tried = search(SMALL, Cluster(devices), fixed=dict(context=1, pipeline=1))
        assert sorted(one.mesh.tensor for one in tried) == tensor


def test_the_search_tries_all_ranks_that_experts_can_have():
    sizes = SMALL | dict(X=6, K=2)
    tried = search(sizes, Cluster(12), fixed=dict(tensor=1, context=1, pipeline=1))
    assert {(one.mesh.data, one.mesh.expert) for one in tried} == {(12, 1), (6, 2), (4, 3), (2, 6)}


def test_the_search_tries_up_to_eight_chunks_unless_told():
    tried = search(SMALL | dict(L=30), Cluster(2), fixed=dict(pipeline=2))
    assert sorted(one.training.chunks for one in tried) == [1, 2, 4, 8]


@pytest.mark.parametrize(("sequence", "tensor"), [(False, [1, 2, 4]), (True, [1, 2])])
def test_only_in_sequence_parallelism_tensor_ranks_divide_the_tokens(sequence, tensor):
    tried = search(SMALL | dict(T=42), Cluster(4), Training(sequence=sequence), fixed=dict(context=1, pipeline=1))
    assert sorted(one.mesh.tensor for one in tried) == tensor


def test_a_search_tries_as_many_ways_as_it_says():
    ways = search(SMALL, Cluster(2), checkpoints=["none"], chunks=range(1, 20_001), fixed=dict(pipeline=2))
    assert len(ways) == 4  # of one mesh, whose stages have so many pieces at the most
    with pytest.raises(ValueError, match="20,001 ways are too many to try: give fewer devices or chunks"):
        search(SMALL, Cluster(2), chunks=range(1, 20_002), fixed=dict(pipeline=2))


@pytest.mark.parametrize(
    ("look", "said"),
    [
        (lambda: search(LLAMA | dict(B=64), Cluster(64)), r"no mesh of 64 devices holds it: .*lacks [\d.]+ GB beside"),
        (lambda: search(SMALL | dict(B=1), Cluster(7)), "no mesh of 7 devices divides B=1"),
        (lambda: search(SMALL, Cluster(12), fixed=dict(tensors=2)), "did you mean 'tensor'"),
        (lambda: search(SMALL, 12), "12 is not a cluster"),
        (lambda: plan(SMALL, Mesh(data=4), Cluster(8)), "has 4 ranks, and the cluster 8 devices"),
        (lambda: Cluster(8, "H100"), "is not a device"),
        (lambda: Cluster(8, "H100 PCIe", node=2), "has no links on its data sheet: write node=1"),
        (lambda: Cluster(8, efficiency=1.5), "more than the peak"),
        (lambda: Cluster(0), "devices=0"),
        (lambda: Cluster(8, node=0), "node=0"),
        (lambda: Cluster(8, dtype="bf61"), "bf61"),
        (lambda: Cluster(8, between_bytes_per_s=0), "between_bytes_per_s=0"),
        (lambda: Cluster(8, efficiency=0), "efficiency=0"),
        (lambda: search(PUBLISHED["Llama 3 8B"], Cluster(64)), r"the sizes lack B: write sizes \| dict\(B=\.\.\.\)"),
        (lambda: search(SMALL | dict(G=5), Cluster(12)), "G=5 does not divide H=12"),
        (lambda: plan(SMALL, Mesh(data=4), "H100"), "cluster='H100' is not a cluster: write Cluster"),
        (lambda: plan(SMALL, Mesh(data=4), 4), "cluster=4 is not a cluster: write Cluster"),
        (lambda: plan(SMALL, Mesh(data=4), 0), "cluster=0 is not a cluster: write Cluster"),
        (lambda: plan(SMALL, Mesh(), training={}), "training={} does not say how to train"),
        (lambda: search(SMALL, Cluster(12), "full"), "training='full' does not say how to train"),
        (lambda: search(SMALL, Cluster(12), {}), "training={} does not say how to train"),
        (lambda: search(SMALL, Cluster(12), chunks=2), r"chunks=2 does not hold several: write chunks=\[1, 2\]"),
        (lambda: search(SMALL, Cluster(12), chunks=[]), r"chunks=\[\] leaves nothing to try: write chunks=\[1, 2\]"),
        (lambda: search(SMALL, Cluster(3), chunks=[9], fixed=dict(pipeline=3)), r"chunks=\[9\] suits no mesh"),
        (lambda: search(SMALL, Cluster(12), checkpoints="full"), r"checkpoints='full' does not hold several"),
        (lambda: search(SMALL, Cluster(12), checkpoints=[]), r"checkpoints=\[\] leaves nothing to try"),
        (lambda: search(SMALL, Cluster(12), fixed=["tensor"]), r"fixed=\['tensor'\] is not a mapping of axes: write"),
        (lambda: search(SMALL, Cluster(12), fixed=[]), r"fixed=\[\] is not a mapping of axes: write"),
        (lambda: search(SMALL, Cluster(4), fixed=dict(tensor=3)), r"fixed={'tensor': 3} .* product divides 4"),
        (
            lambda: search(SMALL, Cluster(8), fixed=dict(data=2, tensor=2, context=1, pipeline=1, expert=1)),
            "fixed={.*} fixes 4 ranks, and the cluster has 8 devices: write ranks whose product is 8",
        ),
        (
            lambda: search(SMALL, Cluster(12, node=2), fixed=dict(tensor=4)),
            "fixed={'tensor': 4} suits no mesh of 12 devices with nodes of 2",
        ),
        (
            lambda: plan(SMALL, Mesh(pipeline=4, data=6), training=Training(chunks=2)),
            "micro_batches=2 in 2 chunks on 4",
        ),
        (lambda: plan(SMALL, Mesh(), training=Training(chunks=2)), "chunks=2 needs a pipeline"),
    ],
)
def test_what_cannot_be_planned_is_said_in_a_sentence(look, said):
    with pytest.raises((TypeError, ValueError), match=said):
        look()
