"""Test the split of each product against what ranks count that run it with PyTorch's own tensor parallelism."""

import warnings
from functools import partial

import pytest
import torch
from torch import distributed, nn
from torch.distributed._functional_collectives import AsyncCollectiveTensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    loss_parallel,
    parallelize_module,
)
from torch.nn import functional

from flopbook.measure import FlopCount
from flopbook.measure.distributed import fake_ranks
from flopbook.predict import B, T, evaluate, matmul, training_step
from flopbook.predict.models import decoder_block
from flopbook.predict.parallel import MeshAxis, Transfer, carried, passed_around, split
from tests.support.ranks import carried_by, run_on

H_OF_X, Y_OF_H = matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]")
MLP = training_step(H_OF_X, Y_OF_H)
MLP_OF_DATA = training_step(H_OF_X, Y_OF_H, data="x")
WEIGHTS, BLOCK_WEIGHTS = "w1 w2", "wq wk wv wo w1 w2"
EXPERTS = training_step(matmul("m[X,P,D] @ w1[X,D,F] -> f[X,P,F]"), matmul("h[X,P,F] @ w2[X,F,D] -> z[X,P,D]"))

MLP_SIZES = [dict(B=8, D=64, H=256, K=64), dict(B=5, D=7, H=44, K=3), dict(B=1, D=13, H=4, K=11)]
BLOCK_SIZES = [dict(B=3, T=20, D=14, H=8, G=4, E=5, F=28), dict(B=1, T=4, D=11, H=4, G=4, E=3, F=52)]
EXPERT_SIZES = [dict(B=12, T=4, D=7, F=5, X=8, K=2), dict(B=4, T=20, D=3, F=11, X=4, K=3)]


class Attention(nn.Module):
    """Attention by hand, whose heads of queries share those of keys and values."""

    def __init__(self, D, H, G, E):
        super().__init__()
        self.E, self.shared = E, H // G
        self.wq, self.wk, self.wv = (nn.Linear(D, heads * E, bias=False) for heads in (H, G, G))
        self.wo = nn.Linear(H * E, D, bias=False)

    def forward(self, x):
        q, k, v = (make(x).unflatten(-1, (-1, self.E)).transpose(1, 2) for make in (self.wq, self.wk, self.wv))
        k, v = (each.repeat_interleave(self.shared, 1) for each in (k, v))
        p = (q @ k.transpose(-1, -2)).softmax(-1)
        return self.wo((p @ v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A block with norms that have no weights."""

    def __init__(self, D, H, G, E, F):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(D, elementwise_affine=False) for _ in range(2))
        self.attention = Attention(D, H, G, E)
        self.feed = mlp(D, F, D, nn.ReLU())

    def forward(self, x):
        x = x + self.attention(self.norms[0](x))
        return x + self.feed(self.norms[1](x))


def mlp(D, H, K, *between):
    return nn.Sequential(nn.Linear(D, H, bias=False), *between, nn.Linear(H, K, bias=False))


def mesh_of(*shape):
    names = ("data", "tensor")[-len(shape) :]
    return init_device_mesh(torch.get_default_device().type, shape, mesh_dim_names=names)


def on_rank(run, model=None):
    """Count a forward and a backward pass, and the bytes of the weights and of what the model keeps besides."""
    parameters = [of_rank(each) for each in model.parameters()] if model else []
    weights, held = {each.untyped_storage().data_ptr() for each in parameters}, {}

    def keep(tensor):
        storage = of_rank(tensor).untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with FlopCount() as counted:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            result = run()
        result.square().mean().backward()
    assert not counted.uncounted
    bytes_of_weights = sum(each.nbytes for each in parameters)
    return counted.forward, counted.backward, bytes_of_weights, sum(held.values()), carried_by(counted)


def of_rank(tensor):
    """Return what lies on this rank of a tensor, once it has come."""
    tensor = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return tensor.wait() if isinstance(tensor, AsyncCollectiveTensor) else tensor


def two_matrices(B, D, H, K):
    """An MLP of two matrices, the first by columns and the second by rows."""
    model = mlp(D, H, K)
    parallelize_module(model, mesh_of(distributed.get_world_size()), {"0": ColwiseParallel(), "1": RowwiseParallel()})
    x = torch.randn(B, D)
    return [on_rank(lambda given=each: model(given), model) for each in (x.clone().requires_grad_(), x)]


def columns_twice(B, D, H, K):
    """An MLP of which both matrices are split by columns, and whose first result is brought together.

    PyTorch does so for good, or knows that it was split, and splits its gradient, too.
    """
    counts = []
    for for_good in (True, False):
        first = ColwiseParallel(output_layouts=Replicate(), use_local_output=for_good)
        model = mlp(D, H, K)
        parallelize_module(model, mesh_of(distributed.get_world_size()), {"0": first, "1": ColwiseParallel()})
        x = torch.randn(B, D, requires_grad=True)
        counts.append(on_rank(lambda given=x, model=model: model(given), model))
    return counts


def transformer_block(in_sequence, B, T, D, H, G, E, F):  # noqa: PLR0913, PLR0917
    """A block by heads and by the hidden width; in sequence parallelism each rank has its part of the positions."""
    ranks = distributed.get_world_size()
    block, between = Block(D, H, G, E, F), Shard(1) if in_sequence else Replicate()
    plan = {"feed.0": ColwiseParallel(), "feed.2": RowwiseParallel(output_layouts=between)}
    plan |= {f"attention.w{name}": ColwiseParallel() for name in "qkv"}
    plan["attention.wo"] = RowwiseParallel(output_layouts=between)
    plan |= {
        part: PrepareModuleInput(input_layouts=between, desired_input_layouts=Replicate())
        for part in ("attention", "feed")
    }
    parallelize_module(block, mesh_of(ranks), plan)
    x = torch.randn(B, T // ranks if in_sequence else T, D, requires_grad=True)
    return on_rank(lambda: block(x), block)


def vocabulary(B, T, D, V):
    """An embedding and an output layer split by the vocabulary, with the loss brought together or not."""
    mesh = mesh_of(distributed.get_world_size())
    table = parallelize_module(nn.Embedding(V, D), mesh, RowwiseParallel(input_layouts=Replicate()))
    tokens = torch.randint(V, (B, T))
    with FlopCount() as counted:
        table(tokens).sum().backward()
    counts = [carried_by(counted)]
    for output in (Replicate(), Shard(2)):
        head = ColwiseParallel(output_layouts=output, use_local_output=output.is_replicate())
        layer = parallelize_module(nn.Linear(D, V, bias=False), mesh, head)
        x = torch.randn(B, T, D, requires_grad=True)
        with loss_parallel(), FlopCount() as counted:
            functional.cross_entropy(layer(x).flatten(0, 1), tokens.flatten()).backward()
        counts.append((counted.forward, counted.backward, carried_by(counted)))
    return counts


class Ring(torch.autograd.Function):
    """Attention whose keys and values travel around the ring of ranks; no rank ever has all of them."""

    @staticmethod
    def forward(ctx, q, k, v):
        block, best, total, out = (k, v), q.new_full(q.shape[:-1], -torch.inf), q.new_zeros(q.shape[:-1]), 0
        for hop in range(distributed.get_world_size()):
            if hop:
                block = passed_on(*block)
            s = q @ block[0].transpose(-1, -2)
            larger = torch.maximum(best, s.amax(-1))
            p, fade = (s - larger[..., None]).exp(), (best - larger).exp()
            out, total, best = out * fade[..., None] + p @ block[1], total * fade + p.sum(-1), larger
        out = out / total[..., None]
        ctx.save_for_backward(q, k, v, out, best + total.log())
        return out

    @staticmethod
    def backward(ctx, g):
        q, k, v, out, logsumexp = ctx.saved_tensors
        ranks, inner, dq, block, own, travelling = distributed.get_world_size(), (g * out).sum(-1), 0, (k, v), (), ()
        for hop in range(ranks):
            if hop:
                block = passed_on(*block)
            if hop > 1:  # the sums of a block's gradients follow the block
                travelling = passed_on(*travelling)
            p = (q @ block[0].transpose(-1, -2) - logsumexp[..., None]).exp()
            ds = p * (g @ block[1].transpose(-1, -2) - inner[..., None])
            dq = dq + ds @ block[0]
            terms = ds.transpose(-1, -2) @ q, p.transpose(-1, -2) @ g
            if not hop:
                own = terms  # added when the others' sums come home
            elif hop == 1:
                travelling = terms
            else:
                travelling = tuple(a + b for a, b in zip(travelling, terms, strict=True))
        return dq, *(a + b for a, b in zip(own, passed_on(*travelling), strict=True))


def passed_on(*tensors):
    """Send tensors to the next rank, and receive those of the rank before."""
    rank, ranks = distributed.get_rank(), distributed.get_world_size()
    tensors, received = [each.contiguous() for each in tensors], [torch.empty_like(each) for each in tensors]
    sends = [distributed.P2POp(distributed.isend, each, (rank + 1) % ranks) for each in tensors]
    receives = [distributed.P2POp(distributed.irecv, each, (rank - 1) % ranks) for each in received]
    for work in distributed.batch_isend_irecv(sends + receives):
        work.wait()
    return received


def ring_of_positions(B, T, H, E):
    """Attention with each rank's part of the queries, keys and values, beside that of one process."""
    ranks, rank = distributed.get_world_size(), distributed.get_rank()
    torch.manual_seed(0)
    wholes = [torch.randn(B, H, T, E, requires_grad=True) for _ in range(3)]
    parts = [each.detach().chunk(ranks, 2)[rank].clone().requires_grad_() for each in wholes]
    with FlopCount() as counted:
        out = Ring.apply(*parts)
        out.square().sum().backward()
    q, k, v = wholes
    expected = (q @ k.transpose(-1, -2)).softmax(-1) @ v
    expected.square().sum().backward()
    assert torch.allclose(out, expected.chunk(ranks, 2)[rank], atol=1e-5)
    assert all(
        torch.allclose(part.grad, whole.grad.chunk(ranks, 2)[rank], atol=1e-4)
        for part, whole in zip(parts, wholes, strict=True)
    )
    return counted.forward, counted.backward, carried_by(counted)


class Exchange(torch.autograd.Function):
    """An all-to-all, whose gradient is the all-to-all back."""

    @staticmethod
    def forward(ctx, rows, given, taken):
        ctx.splits = given, taken
        return exchanged(rows, given, taken)

    @staticmethod
    def backward(ctx, grad):
        given, taken = ctx.splits
        return exchanged(grad, taken, given), None, None


def exchanged(rows, given, taken):
    out = rows.new_empty(sum(taken) if taken else len(rows), *rows.shape[1:])
    distributed.all_to_all_single(out, rows.contiguous(), taken, given)
    return out


def experts(B, T, D, F, X, K):  # noqa: PLR0913, PLR0917
    """Experts on other ranks, whose rows go there and come back; the choice gives each as many rows."""
    ranks, rank = distributed.get_world_size(), distributed.get_rank()
    w1, w2 = (torch.randn(X // ranks, *shape, requires_grad=True) for shape in ((D, F), (F, D)))
    tokens = B * T // ranks
    n = torch.randn(tokens, D, requires_grad=True)
    chosen = (torch.arange(tokens)[:, None] + rank * tokens + torch.arange(K)) % X
    order = chosen.flatten().argsort(stable=True)

    def run():
        sent = Exchange.apply(n[order // K], None, None)
        m = sent.view(ranks, X // ranks, -1, D).transpose(0, 1).flatten(1, 2)
        z = ((m @ w1).relu() @ w2).view(X // ranks, ranks, -1, D).transpose(0, 1).reshape(-1, D)
        back = Exchange.apply(z, None, None)
        return torch.zeros_like(n).index_add(0, order // K, back)

    return on_rank(run)


def experts_of_any_choice(B, T, D, F, X, K):  # noqa: PLR0913, PLR0917
    """The same with rows as they come: how many go where depends on the choice."""
    ranks, rank = distributed.get_world_size(), distributed.get_rank()
    tokens = B * T // ranks
    torch.manual_seed(rank)
    chosen = torch.rand(tokens, X).topk(K).indices.flatten()
    given = (chosen // (X // ranks)).bincount(minlength=ranks)
    taken = torch.empty_like(given)
    distributed.all_to_all_single(taken, given)
    n = torch.randn(tokens, D, requires_grad=True)

    def run():
        rows = Exchange.apply(n[chosen.argsort(stable=True) // K], given.tolist(), taken.tolist())
        return Exchange.apply(rows, taken.tolist(), given.tolist())

    return on_rank(run)[-1]


def data_and_tensor(B, D, H, K):
    """An MLP on a square of ranks: weights sharded over one side, and products split over the other."""
    mesh = mesh_of(2, distributed.get_world_size() // 2)
    model = mlp(D, H, K)
    parallelize_module(model, mesh["tensor"], {"0": ColwiseParallel(), "1": RowwiseParallel()})
    for layer in model:
        fully_shard(layer, mesh=mesh["data"], reshard_after_forward=True)
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module")  # about an in-place operator that is not there
    with FlopCount() as counted:
        model(torch.randn(B // 2, D, requires_grad=True)).square().mean().backward()
    weights = sum(of_rank(each).nbytes for each in model.parameters())
    return counted.forward, counted.backward, weights, carried_by(counted)


SQUARE_SIZES = [dict(B=6, D=7, H=44, K=4), dict(B=2, D=13, H=8, K=22)]
RING_SIZES = [dict(B=2, T=12, H=3, E=5), dict(B=1, T=28, H=1, E=7)]
VOCABULARY_SIZES = [dict(B=3, T=5, D=7, V=44), dict(B=1, T=11, D=3, V=12)]

#: What runs on each rank, and at which sizes.
CASES = {
    "two matrices": (two_matrices, MLP_SIZES),
    "columns twice": (columns_twice, [*MLP_SIZES[:1], dict(B=5, D=7, H=44, K=12)]),
    "block": (partial(transformer_block, False), BLOCK_SIZES),
    "block in sequence": (partial(transformer_block, True), BLOCK_SIZES),
    "vocabulary": (vocabulary, VOCABULARY_SIZES),
    "ring": (ring_of_positions, RING_SIZES),
    "experts": (experts, EXPERT_SIZES),
    "experts of any choice": (experts_of_any_choice, EXPERT_SIZES),
}


def run_all():
    counts = {name: [run(**sizes) for sizes in several] for name, (run, several) in CASES.items()}
    if distributed.get_world_size() == 4:
        counts["data and tensor"] = [data_and_tensor(**sizes) for sizes in SQUARE_SIZES]
    return counts


@pytest.fixture(scope="module", params=[2, 4])
def ranks(request):
    return request.param


@pytest.fixture(scope="module")
def counted(ranks, device):
    """Counts of every rank, by case and sizes."""
    found = run_on(device, run_all, ranks=ranks)
    return {name: [[each[name][place] for each in found] for place in range(len(found[0][name]))] for name in found[0]}


def test_two_matrices_by_columns_then_rows(counted, ranks):
    for sizes, found in zip(MLP_SIZES, counted["two matrices"], strict=True):
        expected = [tuple(split(step, MeshAxis("H", ranks), weights=WEIGHTS).at(sizes)) for step in (MLP, MLP_OF_DATA)]
        unsplit = tuple(split(MLP, weights=WEIGHTS).at(sizes))
        assert found == [expected] * ranks
        assert all(one != other for one, other in zip(expected[0], unsplit, strict=True))


def test_the_sizes_of_the_page_are_counted_as_it_says(counted, ranks):
    for _, of_data in counted["two matrices"][0]:
        assert [*of_data[:2], of_data[-1]] == [
            2 * 262_144 // ranks, 2 * 393_216 // ranks,
            {("all-reduce", "forward"): (1, 2_048, 2 * 2_048 * (ranks - 1) // ranks)},
        ]  # fmt: skip


def test_a_result_that_the_next_product_needs_whole_is_gathered(counted, ranks):
    by_result = [MeshAxis({"h": "H", "y": "K"}, ranks, lies) for lies in ({"h": ""}, {})]
    for sizes, found in zip(CASES["columns twice"][1], counted["columns twice"], strict=True):
        expected = [tuple(split(MLP, each, weights=WEIGHTS).at(sizes)) for each in by_result]
        assert found == [expected] * ranks
        assert expected[0][-1] != expected[1][-1]


@pytest.mark.parametrize("case", ["block", "block in sequence"])
def test_a_block_by_heads_and_hidden_width(counted, ranks, case):
    lies = dict.fromkeys("xnyz", "T") if case == "block in sequence" else {}
    heads = split(decoder_block(), MeshAxis("H,G,F", ranks, lies), weights=BLOCK_WEIGHTS)
    without = split(decoder_block(), MeshAxis("H,G,F", ranks, {} if lies else dict.fromkeys("xnyz", "T")))
    for sizes, found in zip(BLOCK_SIZES, counted[case], strict=True):
        known = sizes | dict(S=sizes["T"])
        expected = heads.at(known)
        for forward, backward, weights, _, carries in found:
            assert (forward, backward, weights, carries) == (*expected[:3], expected.carried)
            assert carries != without.at(known).carried


def test_a_vocabulary(counted, ranks):
    lookup = training_step(matmul("onehot[B,T,V] @ table[V,D] -> x[B,T,D]"), data="onehot")  # that nobody multiplies
    head = training_step(matmul("n[B,T,D] @ w[D,V] -> logits[B,T,V]"))
    together, apart = (split(head, MeshAxis("V", ranks, lies)) for lies in ({"logits": ""}, {}))
    # the largest logit, the sum of the exponentials and the logit of the right token, for each position
    of_loss = Transfer("all-reduce", "forward", 4 * B * T, ranks, calls=3)
    for sizes, found in zip(VOCABULARY_SIZES, counted["vocabulary"], strict=True):
        first = split(lookup, MeshAxis("V", ranks)).at(sizes)
        whole = together.at(sizes)
        parts = apart.at(sizes)
        expected = [
            first.carried,
            (whole.forward, whole.backward, whole.carried),
            (parts.forward, parts.backward, carried([*apart.transfers, of_loss], sizes)),
        ]
        assert found == [expected] * ranks
        assert whole.carried != parts.carried


def test_keys_and_values_travel_around_a_ring(counted, ranks):
    scores, result = matmul("q[B,H,T,E] @ k[B,H,S,E] -> s[B,H,T,S]"), matmul("p[B,H,T,S] @ v[B,H,S,E] -> o[B,H,T,E]")
    by_positions = MeshAxis("T", ranks, lies={"k": "S", "v": "S"}, again=("k", "v"))
    part = split(training_step(scores, result), by_positions)
    ring = [each for transfer in part.transfers for each in passed_around(transfer)]
    for sizes, found in zip(RING_SIZES, counted["ring"], strict=True):
        known = sizes | dict(S=sizes["T"])
        expected = part.at(known)
        once_more = evaluate(scores.flops / ranks, known)  # the scores, which the forward pass did not keep
        assert found == [(expected.forward, expected.backward + once_more, carried(ring, known))] * ranks
        assert carried(ring, known) != expected.carried
        sent = [sum(rung for *_, rung in each.values()) for each in (carried(ring, known), expected.carried)]
        assert sent[0] == sent[1]


def test_rows_go_to_experts_and_come_back(counted, ranks):
    by_expert = split(EXPERTS, MeshAxis("X", ranks, lies={"m": "P", "z": "P"}))
    for sizes, found in zip(EXPERT_SIZES, counted["experts"], strict=True):
        rows = sizes["K"] * sizes["B"] * sizes["T"]
        expected = by_expert.at(sizes | dict(P=rows // sizes["X"]))
        for forward, backward, _, _, carries in found:
            assert (forward, backward, carries) == (expected.forward, expected.backward, expected.carried)
        each_way = 4 * rows * sizes["D"] // ranks
        sent = each_way * (ranks - 1) // ranks
        assert expected.carried == {
            ("all-to-all", phase): (2, 2 * each_way, 2 * sent) for phase in ("forward", "backward")
        }
        assert split(EXPERTS, MeshAxis("F", ranks)).at(sizes | dict(P=rows // sizes["X"], F=4)).carried != expected[-1]


def test_whoever_is_chosen_all_ranks_together_give_each_row_once_each_way(counted, ranks):
    for sizes, found in zip(EXPERT_SIZES, counted["experts of any choice"], strict=True):
        rows = 4 * sizes["K"] * sizes["B"] * sizes["T"] * sizes["D"]
        for phase in ("forward", "backward"):
            assert sum(each["all-to-all", phase][1] for each in found) == 2 * rows
            assert len({each["all-to-all", phase][1] for each in found}) > 1


def test_data_and_tensor_make_a_square(counted, ranks):
    if ranks == 2:
        return
    mesh = MeshAxis("H", 2), MeshAxis("B", 2, lies={"w1": "H", "w2": "K"}, again=("w1", "w2"))
    for sizes, found in zip(SQUARE_SIZES, counted["data and tensor"], strict=True):
        expected = split(MLP, *mesh, weights=WEIGHTS).at(sizes)
        assert found == [(*expected[:3], expected.carried)] * ranks
        assert split(MLP, MeshAxis("H", 4)).at(sizes).carried != expected.carried


@pytest.mark.parametrize("ranks", [8, 1024])
def test_one_rank_of_many(ranks):
    sizes = dict(B=3, D=5, H=2048, K=7)
    with fake_ranks(ranks):
        found = two_matrices(**sizes)
    assert found == [tuple(split(step, MeshAxis("H", ranks), weights=WEIGHTS).at(sizes)) for step in (MLP, MLP_OF_DATA)]


def test_axes_that_do_not_divide_a_head_are_refused():
    sizes = dict(B=1, T=4, S=4, D=8, H=8, G=2, E=3, F=16)
    by_heads = split(decoder_block(), MeshAxis("H,G,F", 4))
    with pytest.raises(ValueError, match="G=2 cannot be split over 4 ranks: give a multiple of 4, or ranks that"):
        by_heads.at(sizes)
