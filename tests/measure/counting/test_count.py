"""Test the count of a training step: phases, places, and what runs where."""

import subprocess
import sys
from contextlib import suppress

import pytest
import torch
from torch import distributed, nn
from torch.distributed.tensor import Shard, distribute_module, distribute_tensor
from torch.utils._mode_utils import no_dispatch
from torch.utils.checkpoint import checkpoint

from flopbook.counts.tally import Total
from flopbook.measure import FlopCount
from flopbook.measure.counting import count as count_module
from flopbook.measure.counting import optimizer_cache
from tests.support.tensors import LowRank

B, D, H, K = 7, 5, 11, 3
FIRST, SECOND = 2 * B * D * H, 2 * B * H * K


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(D, H), nn.ReLU(), nn.Linear(H, K))


@pytest.fixture
def x():
    return torch.ones(B, D)


def train(model, x):
    model.zero_grad()  # adding to earlier gradients would be arithmetic too
    model(x).square().mean().backward()


def test_forward_backward_and_both(count, model, x):
    counted = count(lambda: train(model, x))
    assert counted.forward == FIRST + SECOND
    assert counted.backward == FIRST + 2 * SECOND
    assert counted.total == 2 * FIRST + 3 * SECOND
    assert (counted.recomputed, counted.optimizer, counted.uncounted) == (0, 0, {})


def test_per_operator_with_calls(count, model, x):
    assert count(lambda: train(model, x)).by_operator == {
        "aten::mm": Total(FIRST + 2 * SECOND, 3),
        "aten::addmm": Total(FIRST + SECOND, 2),
    }


def test_data_that_needs_a_gradient_costs_one_product_more(count, model, x):
    plain = count(lambda: train(model, x))
    needed = count(lambda: train(model, x.requires_grad_()))
    assert needed.backward - plain.backward == FIRST


def test_frozen_weights(count, model, x):
    model[0].requires_grad_(False)
    assert count(lambda: train(model, x)).backward == SECOND


def test_without_gradients_there_is_no_backward_pass(count, model, x):
    with torch.no_grad():
        counted = count(lambda: model(x))
    assert (counted.forward, counted.backward) == (FIRST + SECOND, 0)


def test_only_the_gradient_that_is_asked_for(count, model, x):
    counted = count(lambda: torch.autograd.grad(model(x).sum(), model[2].weight))
    assert counted.backward == SECOND


def test_a_gradient_of_a_gradient_is_backward(count):
    w = torch.ones(D, K, requires_grad=True)

    def step():
        (slope,) = torch.autograd.grad((torch.ones(B, D) @ w).square().sum(), w, create_graph=True)
        slope.square().sum().backward()

    counted = count(step)
    assert (counted.forward, counted.backward, counted.recomputed) == (2 * B * D * K, 3 * 2 * B * D * K, 0)


def test_a_gradient_of_a_gradient_is_backward_where_saved_tensors_have_hooks(count):
    w = torch.ones(D, K, requires_grad=True)

    def step():
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, lambda tensor: tensor):
            torch.autograd.grad((torch.ones(B, D) @ w).square().sum(), w, create_graph=True)

    assert count(step).recomputed == 0


def test_gradients_by_function_transforms(count):
    def loss(w):
        return (torch.ones(B, D) @ w).square().sum()

    counted = count(lambda: torch.func.grad(loss)(torch.ones(D, K)))
    assert (counted.forward, counted.backward) == (2 * B * D * K, 2 * B * D * K)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_a_derivative_forward_runs_three_products(count, x):
    """That of the data, and two of the derivatives: the one of the weight is zero, but PyTorch multiplies by it."""
    layer = nn.Linear(D, K)
    assert count(lambda: torch.func.jvp(layer, (x,), (x,))).forward == 3 * 2 * B * D * K


@pytest.mark.parametrize(("reentrant", "again"), [(True, FIRST + SECOND), (False, FIRST)])
def test_a_checkpoint_runs_its_block_again(count, model, x, reentrant, again):
    """Not reentrant, it stops before the last product, whose result nobody needs."""
    x.requires_grad_()
    plain = count(lambda: train(model, x))
    counted = count(lambda: checkpoint(model, x, use_reentrant=reentrant).square().mean().backward())
    assert (counted.forward, counted.backward) == (plain.forward, plain.backward)
    assert counted.recomputed == again


class Product(torch.autograd.Function):
    """Runs a product with a hand-written backward pass; forward runs without gradients."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx, gradient):
        x, w = ctx.saved_tensors
        return gradient @ w.T, x.T @ gradient


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_runs_again_what_needs_no_gradients(count, x, reentrant):
    w = torch.ones(D, D, requires_grad=True)

    def block(x):
        with torch.no_grad():
            scale = (x @ w).amax()
        return (Product.apply(x, w) * scale).relu()

    product = 2 * B * D * D
    counted = count(lambda: checkpoint(block, x.requires_grad_(), use_reentrant=reentrant).sum().backward())
    assert (counted.forward, counted.backward, counted.recomputed) == (2 * product, 2 * product, 2 * product)


def test_a_checkpoint_inside_a_checkpoint_runs_its_block_twice_more(count, model, x):
    def outer(x):
        return checkpoint(model, x, use_reentrant=True).relu()

    counted = count(lambda: checkpoint(outer, x.requires_grad_(), use_reentrant=True).sum().backward())
    assert counted.recomputed == 2 * counted.forward


def test_an_update_is_a_phase_of_its_own(count, model, x):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    train(model, x)
    counted = count(optimizer.step)
    assert counted.pointwise == {"forward": 0, "backward": 0, "recomputed": 0, "optimizer": 2 * parameters}


def test_the_closure_of_an_optimizer_is_forward_and_backward(count, model, x):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def closure():
        loss = model(x).sum()
        loss.backward()
        return loss

    counted = count(lambda: optimizer.step(closure))
    assert (counted.forward, counted.optimizer) == (FIRST + SECOND, 0)


class Turning(torch.optim.Optimizer):
    """Contracts in its update, after something else."""

    def __init__(self, parameters, before=lambda: None):
        super().__init__(parameters, {})
        self.before = before

    @torch.no_grad()
    def step(self):
        self.before()
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.copy_(parameter @ torch.eye(parameter.shape[1]))


def test_a_contraction_of_an_optimizer(count):
    optimizer = Turning([nn.Parameter(torch.ones(3, 4))])
    counted = count(optimizer.step)
    assert (counted.forward, counted.optimizer, counted.total) == (0, 2 * 3 * 4 * 4, 2 * 3 * 4 * 4)


def test_an_optimizer_that_uses_another(count):
    inner = nn.Parameter(torch.ones(2))
    inner.grad = torch.ones(2)
    optimizer = Turning([nn.Parameter(torch.ones(3, 4))], before=torch.optim.SGD([inner], lr=0.1).step)
    assert count(optimizer.step).optimizer == 2 * 3 * 4 * 4


def test_an_optimizer_that_steps_in_the_backward_pass(count, x):
    layer = nn.Linear(D, H, bias=False)
    optimizer = Turning([layer.weight])
    layer.weight.register_post_accumulate_grad_hook(lambda parameter: optimizer.step())
    counted = count(lambda: layer(x).sum().backward())
    assert (counted.forward, counted.backward, counted.optimizer) == (FIRST, FIRST, 2 * H * D * D)


def test_an_optimizer_that_steps_in_a_backward_pass_which_is_counted_alone(count):
    weight = nn.Parameter(torch.ones(H, D))
    optimizer = Turning([weight])
    weight.register_post_accumulate_grad_hook(lambda parameter: optimizer.step())
    counted = count(weight.sum().backward)
    assert (counted.backward, counted.optimizer) == (0, 2 * H * D * D)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_counts_the_same(count, model, x, dtype):
    plain = count(lambda: train(model, x))
    with torch.autocast("cpu", dtype=dtype):
        mixed = count(lambda: train(model, x))
    assert (mixed.forward, mixed.backward) == (plain.forward, plain.backward)


def test_the_meta_device_counts_the_same(count, model, x):
    plain = count(lambda: train(model, x))
    model.to("meta").zero_grad()
    meta = count(lambda: train(model, x.to("meta")))
    assert meta.calls == plain.calls


def test_a_product_too_large_for_this_machine(count):
    """3.5 GiB of operands and results, none of it allocated; the count passes 2**42."""
    with torch.device("meta"):
        x, w = torch.empty(16384, 32768), torch.empty(32768, 8192)
    assert count(lambda: x @ w).total == 8_796_093_022_208


def said(node):
    return node.parameters, node.forward, node.backward, node.recomputed, node.optimizer


def test_modules_forward_and_backward(count, model, x):
    counted = count(lambda: train(model, x))
    modules = counted.by_module
    assert list(modules) == ["", "Sequential", "Sequential.0", "Sequential.1", "Sequential.2"]
    assert said(modules["Sequential.0"]) == (D * H + H, FIRST, FIRST, 0, 0)
    assert said(modules["Sequential.1"]) == (0, 0, 0, 0, 0)
    assert said(modules["Sequential.2"]) == (H * K + K, SECOND, 2 * SECOND, 0, 0)
    whole = (D * H + H + H * K + K, FIRST + SECOND, FIRST + 2 * SECOND, 0, 0)
    assert said(modules["Sequential"]) == said(modules[""]) == whole
    assert modules["Sequential"].flops == counted.total == 2 * modules["Sequential"].macs


def test_what_runs_outside_of_all_modules_belongs_to_the_step(count, model, x):
    modules = count(lambda: train(model, x @ torch.ones(D, D))).by_module
    assert modules[""].forward - modules["Sequential"].forward == 2 * B * D * D


def test_recomputed_flops_belong_to_their_module(count, model, x):
    x.requires_grad_()
    modules = count(lambda: checkpoint(model, x, use_reentrant=False).sum().backward()).by_module
    assert [modules[f"Sequential.{place}"].recomputed for place in (0, 2)] == [FIRST, 0]


def test_two_models_of_one_class_have_two_names(count, x):
    first, second = nn.Linear(D, H), nn.Linear(H, K)
    modules = count(lambda: second(first(x))).by_module
    assert (modules["Linear"].forward, modules["Linear_2"].forward) == (FIRST, SECOND)


def test_a_module_that_is_used_twice_counts_twice(count):
    square = nn.Linear(D, D, bias=False)
    modules = count(lambda: nn.Sequential(square, square)(torch.ones(B, D))).by_module
    assert said(modules["Sequential.0"]) == (D * D, 2 * 2 * B * D * D, 0, 0, 0)
    assert modules[""].parameters == D * D


def test_it_prints_its_phases(count, model, x):
    counted = count(lambda: train(model, x))
    assert repr(counted) == f"<counted: forward {FIRST + SECOND:,}, backward {FIRST + 2 * SECOND:,}>"
    assert repr(FlopCount()) == "<counted: no contraction>"


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("inference", [False, True])
def test_sequences_of_unequal_length_count_their_tokens(count, inference):
    sequences = [torch.ones(length, D) for length in (2, 5)]
    with torch.inference_mode(inference):
        layer, x = nn.Linear(D, K), torch.nested.nested_tensor(sequences, layout=torch.jagged)
        counted = count(lambda: layer(x) if inference else layer(x).values().sum().backward())
    assert (counted.forward, counted.backward) == (2 * 7 * D * K, 0 if inference else 2 * 7 * D * K)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_the_older_nested_tensors_count_each_product(count):
    x = torch.nested.nested_tensor([torch.ones(2, D), torch.ones(5, D)])
    weights = torch.nested.nested_tensor([torch.ones(D, K)] * 2)
    assert count(lambda: torch.matmul(x, weights)).total == 2 * (2 + 5) * D * K


def test_a_tensor_that_holds_others_counts_what_runs_on_them(count, x):
    assert count(lambda: x @ LowRank(torch.ones(D, 2), torch.ones(2, H))).total == 2 * B * 2 * (D + H)


def test_to_move_data_of_a_tensor_that_holds_others_counts_what_runs_on_them(count):
    """Rows of a table that is held as two factors: the rows of one of them, times the other."""
    table, rows = LowRank(torch.ones(20, 2), torch.ones(2, H)), torch.tensor([3, 1, 7])
    assert count(lambda: torch.nn.functional.embedding(rows, table)).total == 2 * 3 * 2 * H
    assert count(lambda: torch.index_select(table, 0, rows)).total == 2 * 3 * 2 * H


class Fails(torch.optim.SGD):
    @torch.no_grad()
    def step(self, closure=None):
        torch.ones(3).add_(1)
        raise ArithmeticError


def test_what_follows_a_step_that_raised_is_no_part_of_it(count, model, x):
    optimizer = Fails(model.parameters())

    def step():
        with suppress(ArithmeticError):
            optimizer.step()
        with torch.no_grad():
            model(x)

    counted = count(step)
    assert (counted.forward, counted.optimizer) == (FIRST + SECOND, 0)
    assert counted.pointwise["optimizer"] == 3


def test_an_update_in_the_backward_pass_after_a_step_that_raised_is_an_update(count, x):
    layer = nn.Linear(D, H, bias=False)
    optimizer = Turning([layer.weight])
    layer.weight.register_post_accumulate_grad_hook(lambda parameter: optimizer.step())

    def step():
        with suppress(ArithmeticError):
            Fails(layer.parameters()).step()
        layer(x).sum().backward()

    assert count(step).optimizer == 2 * H * D * D


def test_what_follows_a_known_step_that_raised_is_seen(count, model, x, monkeypatch):
    optimizer = torch.optim.SGD(model.parameters())
    train(model, x)
    count(optimizer.step)

    def fails(*_, **__):
        raise ArithmeticError

    monkeypatch.setattr(sys.modules[torch.optim.SGD.__module__], "sgd", fails)

    def step():
        with suppress(ArithmeticError):
            optimizer.step()
        model(x)

    assert count(step).forward == FIRST + SECOND


class Wrapped(torch.Tensor):
    """A matrix that multiplies another one by itself, and cannot be taken apart by PyTorch."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return func(*(arg.inner @ arg.inner if isinstance(arg, cls) else arg for arg in args), **kwargs or {})


@pytest.mark.parametrize(
    ("own", "step"),
    [
        (0, lambda table: table.index_select(0, torch.tensor([1]))),
        (2 * B * D * D, lambda table: torch.ones(B, D) @ table),
    ],
)
def test_a_tensor_that_only_its_own_class_can_take_apart_counts_what_runs_on_what_it_holds(count, own, step):
    assert count(lambda: step(Wrapped(torch.ones(D, D)))).total == 2 * D**3 + own


class Plain(torch.Tensor):
    """Keeps numbers in memory of its own, and runs operators that nobody sees."""

    @staticmethod
    def __new__(cls, values):
        return torch.Tensor._make_subclass(cls, values)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        with no_dispatch():
            return func(*args, **kwargs or {})


def test_a_tensor_of_a_class_of_its_own_counts_by_the_operator(count):
    assert count(lambda: torch.ones(B, D) @ Plain(torch.ones(D, D))).total == 2 * B * D * D


def test_a_tensor_that_processes_share_counts_as_a_whole(count, model, x):
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        mesh = distributed.device_mesh.init_device_mesh("cpu", (1,))
        shared = distribute_tensor(x, mesh, [Shard(0)])
        counted = count(lambda: train(distribute_module(model, mesh), shared))
    finally:
        distributed.destroy_process_group()
    assert (counted.forward, counted.backward) == (FIRST + SECOND, FIRST + 2 * SECOND)


def test_what_processes_send_each_other_takes_no_flops(count, model, x):
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        counted = count(lambda: train(nn.parallel.DistributedDataParallel(model), x))
    finally:
        distributed.destroy_process_group()
    assert (counted.forward, counted.backward) == (FIRST + SECOND, FIRST + 2 * SECOND)


def test_a_compiled_function_is_counted_uncompiled(count, model, x):
    plain = count(lambda: train(model, x))
    compiled = torch.compile(model, backend="eager")
    assert count(lambda: train(compiled, x)).calls == plain.calls


def test_a_counted_function_still_compiles(count, x):
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(lambda x: x @ x.T, backend=backend)
    assert count(lambda: compiled(x)).total == 2 * B * D * B
    assert not graphs
    compiled(x)
    assert len(graphs) == 1
    assert count(lambda: compiled(x)).total == 2 * B * D * B


@pytest.fixture
def recalled(monkeypatch):
    """Note whether each step of an optimizer was known already."""
    found = []

    def spy(optimizer, kind):
        calls = optimizer_cache.recall(optimizer, kind)
        found.append(calls is not None)
        return calls

    monkeypatch.setattr(count_module, "recall", spy)
    return found


STEADY = {
    "SGD": (lambda parameters: torch.optim.SGD(parameters, lr=0.1), 2),
    "SGD with momentum": (lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True), 6),
    "Adam": (lambda parameters: torch.optim.Adam(parameters, amsgrad=True), None),
    "AdamW": (torch.optim.AdamW, None),
}


@pytest.mark.parametrize("name", STEADY)
def test_a_step_that_is_known_counts_as_if_it_were_seen(name, recalled, monkeypatch):
    make, each = STEADY[name]
    weight = nn.Parameter(torch.randn(5, 7))
    optimizer = make([weight])

    def update():
        weight.grad = torch.ones(5, 7)
        with FlopCount() as counted:
            optimizer.step()
        return counted.pointwise["optimizer"]

    update()  # the first makes the state
    known = [update() for _ in range(3)]
    assert recalled[-2:] == [True, True]
    monkeypatch.setattr(count_module, "recall", lambda optimizer, kind: None)
    assert known == [update()] * 3
    if each:
        assert known[0] == each * 35


@pytest.mark.parametrize(
    "change",
    [
        lambda optimizer, weight: optimizer.param_groups[0].update(weight_decay=0.5),
        lambda optimizer, weight: optimizer.add_param_group({"params": [nn.Parameter(torch.ones(3))]}),
        lambda optimizer, weight: setattr(weight, "grad", None),
    ],
    ids=["an option", "a parameter more", "no gradient"],
)
def test_a_step_of_another_kind_is_seen_anew(change, recalled):
    weight = nn.Parameter(torch.randn(5, 7))
    optimizer = torch.optim.AdamW([weight])
    weight.grad = torch.ones(5, 7)
    for _ in range(3):
        with FlopCount():
            optimizer.step()
    change(optimizer, weight)
    with FlopCount():
        optimizer.step()
    assert recalled == [False, False, True, False]


def test_only_the_optimizers_whose_steps_are_alike_are_known(recalled):
    weight = nn.Parameter(torch.randn(3, 3))
    weight.grad = torch.ones(3, 3)
    hooked = torch.optim.SGD([weight], lr=0.1)
    hooked.register_step_pre_hook(lambda *arguments: None)
    for optimizer in (torch.optim.RMSprop([weight]), torch.optim.RAdam([weight]), Turning([weight]), hooked):
        for _ in range(3):
            with FlopCount():
                optimizer.step()
    with FlopCount():
        torch.optim.SGD([weight], lr=0.1).step(lambda: torch.ones(()))
    assert recalled == []


def test_a_loop_inside_one_block_counts_every_step(count, model, x):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step():
        train(model, x)
        optimizer.step()

    step()
    once = count(step)
    loop = count(lambda: [step() for _ in range(4)])
    assert (loop.forward, loop.backward) == (4 * (FIRST + SECOND), 4 * (FIRST + 2 * SECOND))
    assert loop.pointwise == {phase: 4 * flops for phase, flops in once.pointwise.items()}


def test_after_an_update_comes_forward_again(count, model, x):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        for _ in range(3):
            train(model, x)
            optimizer.step()
            with torch.no_grad():
                model(x)
                x @ torch.ones(D, D)

    counted = count(step)
    assert (counted.forward, counted.optimizer) == (3 * (2 * (FIRST + SECOND) + 2 * B * D * D), 0)
    assert counted.by_module["Sequential"].forward == 6 * (FIRST + SECOND)


@pytest.mark.filterwarnings("ignore:no rule")
def test_an_operator_without_a_rule_gets_all_its_arguments():
    library = torch.library.Library("flopbook_keywords", "DEF")
    library.define("scaled(Tensor x, *, float scale) -> Tensor")
    library.impl("scaled", lambda x, *, scale: x * scale, "CPU")
    with FlopCount() as counted:
        result = torch.ops.flopbook_keywords.scaled(torch.ones(3), scale=7.0)
    assert result.tolist() == [7.0, 7.0, 7.0]
    assert counted.uncounted == {"flopbook_keywords::scaled": 1}


def test_an_operator_that_is_made_of_others_gets_all_its_arguments():
    x = torch.arange(6.0).reshape(2, 3)
    with FlopCount():
        found = torch.ops.aten.linear(x, weight=x, bias=None)
    assert torch.equal(found, x @ x.T)


def test_a_known_step_that_raises_leaves_nothing_behind():
    weight = nn.Parameter(torch.randn(3, 3))
    optimizer = torch.optim.AdamW([weight])
    weight.grad = torch.ones(3, 3)
    for _ in range(2):
        with FlopCount():
            optimizer.step()
    optimizer.state[weight]["exp_avg"] = torch.ones(2)
    with pytest.raises(RuntimeError), FlopCount():
        optimizer.step()
    assert not torch.utils._python_dispatch._get_current_dispatch_mode_stack()
    with FlopCount() as counted:
        weight @ weight
    assert counted.forward == 54


def test_what_follows_a_known_update_outside_of_modules_is_counted(count):
    w = torch.ones(4, 4, requires_grad=True)
    optimizer = torch.optim.AdamW([w])

    def step():
        (torch.ones(2, 4) @ w).sum().backward()
        optimizer.step()

    step()
    once = count(step)
    again = count(lambda: [step() for _ in range(3)])
    assert (again.total, again.pointwise["optimizer"]) == (3 * once.total, 3 * once.pointwise["optimizer"])


#: What is to run where nothing was compiled yet, each in a process of its own; `torch` and `FlopCount` are imported.
FRESH = {
    "plain": """
with FlopCount():
    torch.ones(2, 2) @ torch.ones(2, 2)
print("torch._dynamo" in sys.modules)
""",
    "compiles inside": """
graphs = []
def backend(graph, inputs):
    graphs.append(graph)
    return graph.forward
x = torch.ones(7, 5)
with FlopCount() as counted:
    compiled = torch.compile(lambda x: x @ x.T, backend=backend)
    compiled(x)
compiled(x)
print(counted.total, len(graphs))
""",
    "compiles itself": """
from torch.nn.attention.flex_attention import flex_attention
heads = torch.ones(1, 2, 16, 8)
with FlopCount() as counted:
    flex_attention(heads, heads, heads)
print(counted.total)
""",
    "condition": """
x = torch.ones(4, 4)
with FlopCount() as counted:
    found = torch.cond(x.sum() > 0, lambda x: x @ x, lambda x: x, (x,))
print(found.sum().item(), counted.total, counted.uncounted)
""",
}
#: Imports PyTorch once, and runs each program in a fork.
IN_FORKS = """
import os, sys, torch
from flopbook.measure import FlopCount
assert "torch._dynamo" not in sys.modules
for program in sys.argv[1:]:
    if not os.fork():
        exec(program, globals())
        sys.stdout.flush()
        os._exit(0)
    assert os.wait()[1] == 0
"""


@pytest.fixture(scope="module")
def fresh():
    """Run the programs in processes where nothing was compiled yet, and return the line that each prints."""
    command = [sys.executable, "-W", "ignore", "-c", IN_FORKS, *FRESH.values()]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return dict(zip(FRESH, run.stdout.splitlines(), strict=True))


def test_to_count_does_not_import_the_compiler(fresh):
    assert fresh["plain"] == "False"


def test_a_function_that_first_compiles_inside_the_block_still_compiles_afterwards(fresh):
    counted, graphs = map(int, fresh["compiles inside"].split())
    assert counted == 2 * 7 * 5 * 7
    assert graphs >= 1


def test_what_was_compiled_is_dropped_if_the_compiler_was_first_imported_in_the_block(monkeypatch):
    dropped = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: dropped.append(True))
    for name in ("torch._dynamo", "torch.nn.attention.flex_attention"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with FlopCount():
        pass
    assert not dropped
    with FlopCount():
        monkeypatch.setitem(sys.modules, "torch._dynamo", torch)
    assert dropped


def test_what_compiles_by_itself_is_counted_before_anything_was_compiled(fresh):
    assert int(fresh["compiles itself"]) == 2 * 2 * 2 * 16 * 16 * 8


def test_a_condition_compiles_itself_and_not_the_count(fresh):
    assert fresh["condition"] == f"64.0 {2 * 4 * 16} {{}}"
