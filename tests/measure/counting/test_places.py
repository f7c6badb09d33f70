"""Test which module and phase an operator belongs to, however it was reached."""

import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch._higher_order_ops.map import map as map_op
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint

from flopbook.measure import FlopCount
from flopbook.measure.counting.count import _refuse_to_train
from flopbook.measure.operators import flop_rule

B, D, H = 7, 5, 11
PRODUCT = 2 * B * D * H


class AutoEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Sequential(nn.Linear(D, H)), nn.Linear(H, D)

    def forward(self, x):
        return self.decoder(self.encoder(x))


@pytest.fixture
def x():
    return torch.ones(B, D)


def forward_of(counted):
    return {path: node.forward for path, node in counted.by_module.items()}


@pytest.mark.parametrize("encoder_first", [True, False])
def test_a_module_has_what_ran_inside_it_in_whatever_order(count, x, encoder_first):
    model = AutoEncoder()
    steps = [lambda: model.encoder(x), lambda: model(x)]
    counted = count(lambda: [step() for step in (steps if encoder_first else reversed(steps))])
    assert forward_of(counted) == {
        "": 3 * PRODUCT,
        "Sequential": PRODUCT,
        "Sequential.0": PRODUCT,
        "AutoEncoder": 2 * PRODUCT,
        "AutoEncoder.encoder": PRODUCT,
        "AutoEncoder.encoder.0": PRODUCT,
        "AutoEncoder.decoder": PRODUCT,
    }


def test_a_shared_layer_counts_in_each_place_that_calls_it(count, x):
    shared = nn.Sequential(nn.Linear(D, D))
    model = nn.Sequential(nn.Sequential(shared, nn.ReLU()), nn.Sequential(nn.ReLU(), shared))
    counted = count(lambda: model(x).sum().backward())
    product = 2 * B * D * D
    for path in ("Sequential.0", "Sequential.0.0.0", "Sequential.1", "Sequential.1.1.0"):
        assert counted.by_module[path].forward == product
    assert [counted.by_module[f"Sequential.{n}"].backward for n in (0, 1)] == [product, 2 * product]
    assert counted.by_module["Sequential"].parameters == D * D + D


def test_a_layer_inside_a_shared_one_that_is_called_by_itself_has_all_modules_above_it(count, x):
    class Picks(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner[0](x)

    shared = nn.Sequential(nn.Linear(D, D))
    counted = count(lambda: nn.Sequential(Picks(shared), Picks(shared))(x))
    assert counted.by_module["Sequential.1.inner.0"].forward == 2 * B * D * D
    assert counted.by_module["Sequential.1"].forward == counted.total // 2


def test_a_module_that_none_holds_is_where_it_is_called(count, x):
    class Hides(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = [nn.Linear(D, H)]

        def forward(self, x):
            return self.hidden[0](x)

    assert forward_of(count(lambda: Hides()(x)))["Hides.Linear"] == PRODUCT


def test_a_module_that_a_module_further_out_holds_stands_at_its_own_path(count, x):
    class Calls(nn.Module):
        def forward(self, function, x):
            return function(x)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls, self.head = Calls(), nn.Linear(D, H)

        def forward(self, x):
            return self.calls(self.head, x)

    assert forward_of(count(lambda: Net()(x)))["Net.head"] == PRODUCT


@pytest.mark.parametrize("number", [3, 4])
def test_many_models_of_one_class_have_as_many_names(count, x, number):
    models = [nn.Linear(D, D) for _ in range(number)]
    counted = count(lambda: [model(x) for model in models])
    assert list(counted.by_module) == ["", "Linear", *(f"Linear_{n}" for n in range(2, number + 1))]


def test_a_lazy_module_that_never_ran_has_no_parameters_yet(count, x):
    model = nn.ModuleDict({"used": nn.Linear(D, H), "unused": nn.LazyLinear(3)})
    model.forward = model["used"].__call__
    counted = count(lambda: model(x))
    assert counted.by_module["ModuleDict.unused"].parameters == 0
    assert counted.by_module[""].parameters == D * H + H


def test_each_flop_of_a_double_backward_has_a_module(count, x):
    model = nn.Sequential(nn.Linear(D, H), nn.Tanh(), nn.Linear(H, 1))

    def step():
        data = x.requires_grad_()
        (slope,) = torch.autograd.grad(model(data).sum(), data, create_graph=True)
        slope.square().sum().backward()

    counted = count(step)
    calls = [call for call in counted.calls if call.flops]
    assert all(call.module for call in calls)
    first, last = (counted.by_module[f"Sequential.{n}"] for n in (0, 2))
    assert first.flops + last.flops == counted.total
    assert first.flops == 6 * PRODUCT  # the product, its gradient, and twice as many of each once more
    step_only = {call.operator for call in counted.calls if not call.module and call.phase == "backward"}
    assert step_only <= {"aten::pow", "aten::mul", "aten::add_", "aten::add"}


class Offloaded(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x):
        with torch.autograd.graph.save_on_cpu():
            return self.net(x)


def test_a_checkpoint_around_blocks_with_hooks_of_their_own_runs_them_again(count):
    model = nn.Sequential(Offloaded(), nn.GELU(), Offloaded())
    x = torch.ones(7, 16, requires_grad=True)
    counted = count(lambda: checkpoint(model, x, use_reentrant=False).square().sum().backward())
    assert (counted.backward, counted.recomputed) == (57344, 14336)
    assert counted.by_module["Sequential.0.net"].recomputed == 14336


class RunAgain(torch.autograd.Function):
    """Runs its block again, under gradients, in the backward pass."""

    @staticmethod
    def forward(ctx, run, x, *weights):
        ctx.run = run
        ctx.save_for_backward(x)
        with torch.no_grad():
            return run(x)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            y = ctx.run(x)
        y.backward(gradient)
        return None, x.grad, *[None] * (len(ctx.needs_input_grad) - 2)


@pytest.mark.parametrize("retain", [False, True])
def test_a_function_of_ones_own_that_runs_a_module_again(count, x, retain):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.body = nn.Linear(D, D), nn.Sequential(nn.Linear(D, H), nn.ReLU())

        def forward(self, x):
            return RunAgain.apply(self.body, self.first(x), *self.body.parameters())

    counted = count(lambda: Net()(x).sum().backward(retain_graph=retain))
    body = counted.by_module["Net.body.0"]
    assert (body.forward, body.backward, body.recomputed) == (PRODUCT, 2 * PRODUCT, PRODUCT)
    assert (counted.backward, counted.recomputed) == (2 * PRODUCT + 2 * B * D * D, PRODUCT)


def test_a_function_of_ones_own_that_runs_a_function_again(count, x):
    w = torch.ones(D, H, requires_grad=True)
    counted = count(lambda: RunAgain.apply(lambda x: (x @ w).relu(), x, w).sum().backward())
    assert (counted.forward, counted.backward, counted.recomputed) == (PRODUCT, 2 * PRODUCT, PRODUCT)


class Reversible(torch.autograd.Function):
    """Computes y = x + f(x2), whose backward pass finds x again from y."""

    @staticmethod
    def forward(ctx, first, second, body):
        ctx.body = body
        with torch.no_grad():
            result = first + body(second)
        ctx.save_for_backward(result, second)
        return result

    @staticmethod
    def backward(ctx, gradient):
        result, second = ctx.saved_tensors
        with torch.no_grad():
            _ = result - ctx.body(second)  # the first input, without gradients
        return gradient, None, None


def test_a_reversible_block_runs_again_without_gradients(count, x):
    body = nn.Linear(D, D)
    counted = count(lambda: Reversible.apply(x.requires_grad_(), x.detach(), body).sum().backward())
    product = 2 * B * D * D
    assert (counted.forward, counted.backward, counted.recomputed) == (product, 0, product)
    assert counted.by_module["Linear"].recomputed == product


def test_a_function_whose_backward_pass_is_to_be_differentiated_is_backward(count, x):
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x @ w

        @staticmethod
        def backward(ctx, gradient):
            x, w = ctx.saved_tensors
            return gradient @ w.T, x.T @ gradient

    w = torch.ones(D, H, requires_grad=True)

    def step():
        (slope,) = torch.autograd.grad(Twice.apply(x, w).square().sum(), w, create_graph=True)
        slope.sum().backward()

    assert count(step).recomputed == 0


def test_what_a_checkpoint_of_a_function_runs_again_belongs_to_the_module_that_called_it(count, x):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(D, H))

        def forward(self, x):
            return checkpoint(lambda x: (x @ self.weight).relu().exp(), x, use_reentrant=False)

    counted = count(lambda: Net()(x.requires_grad_()).sum().backward())
    assert counted.by_module["Net"].recomputed == counted.recomputed == PRODUCT


def test_the_gradient_of_a_movement_belongs_to_the_module_that_moved(count):
    class Sum(nn.Module):
        def forward(self, x):
            return x.square().sum(-1)  # backward expands, and the gradient of that adds up

    x = torch.ones(4, 16, 8, requires_grad=True)
    model = nn.Sequential(Sum(), nn.Linear(16, 2, bias=False))

    def step():
        (gradient,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        gradient.sum().backward()

    modules = count(step).by_module
    assert sum(cost.pointwise for cost in modules["Sequential.1"].costs.values()) == 0
    assert modules["Sequential.0"].costs["backward"].pointwise > 0


def test_threads_that_the_block_started_are_counted_with_their_modules(count):
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.left, self.right = nn.Linear(16, 16), nn.Linear(16, 16), nn.Sequential(nn.Linear(16, 8))

        def forward(self, x):
            x = self.before(x)
            with ThreadPoolExecutor(2) as pool:
                left, right = pool.submit(self.left, x), pool.submit(self.right, x)
            return left.result().sum() + right.result().sum()

    counted = count(lambda: Branches()(torch.ones(8, 16)).backward())
    costs = {path: (node.forward, node.backward) for path, node in counted.by_module.items()}
    assert costs == {
        "": (10240, 16384),
        "Branches": (10240, 16384),
        "Branches.before": (4096, 4096),
        "Branches.left": (4096, 8192),
        "Branches.right": (2048, 4096),
        "Branches.right.0": (2048, 4096),
    }


def test_all_that_a_module_made_in_a_thread_belongs_to_it(count, x):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Parameter(torch.ones(D, D)), nn.Parameter(torch.ones(D, D))

        def forward(self, x):
            return (x @ self.first).relu() @ self.second

    model = Two()

    def step():
        with ThreadPoolExecutor(1) as pool:
            y = pool.submit(model, x).result()
        y.sum().backward()

    modules = count(step).by_module
    assert modules["Two"].backward == modules[""].backward == 3 * modules["Two"].forward // 2


def test_a_backward_pass_in_a_thread_is_counted_with_its_modules(count, x):
    model = AutoEncoder()

    def step():
        loss = model(x).sum()
        thread = threading.Thread(target=loss.backward)
        thread.start()
        thread.join()

    counted = count(step)
    assert (counted.forward, counted.backward) == (2 * PRODUCT, 3 * PRODUCT)
    assert counted.by_module["AutoEncoder.decoder"].backward == 2 * PRODUCT


def test_a_thread_that_goes_on_after_the_block_asks_no_rule(x):
    asked, afterwards, over = [], [], threading.Event()

    @flop_rule(torch.ops.aten.erfinv)
    def rule(out, *_):
        asked.append(out)
        return 1

    def work():
        x.erfinv()
        over.wait()
        afterwards.append(torch.add((x / 2).erfinv(), 1, alpha=2))

    with FlopCount() as counted:
        thread = threading.Thread(target=work)
        thread.start()
        while not asked:
            time.sleep(0.01)
    over.set()
    thread.join()
    assert (len(asked), counted.total) == (1, 1)
    assert torch.equal(afterwards[0], (x / 2).erfinv() + 2)


def test_threads_that_run_one_after_the_other_are_all_counted(count, x):
    w = torch.ones(D, H)

    def step():
        for _ in range(4):
            thread = threading.Thread(target=lambda: x @ w)  # which may have the number of one that has ended
            thread.start()
            thread.join()

    assert count(step).forward == 4 * PRODUCT


class Nested(torch.autograd.Function):
    """Runs a backward pass in its backward pass, so many times, and a layer in the innermost."""

    @staticmethod
    def forward(ctx, x, layer, depth):
        ctx.layer, ctx.depth = layer, depth
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        with torch.enable_grad():
            inner = gradient.clone().requires_grad_()
            y = Nested.apply(inner, ctx.layer, ctx.depth - 1) if ctx.depth else ctx.layer(inner)
            y.sum().backward()
        return inner.grad, None, None


def test_a_module_that_pytorch_runs_in_a_thread_of_its_own_has_its_cost(count, x):
    threads = set()

    class Layer(nn.Linear):
        def forward(self, x):
            threads.add(threading.get_ident())
            return super().forward(x)

    layer, w = Layer(D, H), torch.ones(D, H)

    def step():
        Nested.apply(x.requires_grad_(), layer, 70).sum().backward()
        return x @ w

    counted = count(step)
    assert threading.get_ident() not in threads  # PyTorch takes another thread beyond 60 backward passes
    everything, own = (
        sum(cost.contractions for cost in counted.by_module[path].costs.values()) for path in ("", "Layer")
    )
    assert everything - own == PRODUCT


def test_an_update_that_pytorch_runs_in_a_thread_of_its_own_is_the_optimizers(count, x):
    w = torch.ones(D, H, requires_grad=True)
    w.grad = torch.ones(D, H)
    optimizer = torch.optim.SGD([w], lr=0.1, momentum=0.9)
    optimizer.step()

    def update(inner):
        optimizer.step()
        return inner.clone()

    def step():
        Nested.apply(x.requires_grad_(), update, 70).sum().backward()
        return x * 2

    counted = count(step)
    assert counted.pointwise["optimizer"] == count(optimizer.step).pointwise["optimizer"] > 0
    assert counted.pointwise["forward"] >= x.numel()


def test_what_a_module_computes_after_a_module_that_it_holds_is_its_own_backward_too(count, x):
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.after = nn.Linear(D, H), nn.Parameter(torch.ones(H, D))

        def forward(self, x):
            return self.inner(x) @ self.after

    model = Outer()
    counted = count(lambda: model(x).sum().backward())
    assert counted.by_module["Outer.inner"].backward == PRODUCT
    assert counted.by_module["Outer"].backward == 3 * PRODUCT


@pytest.mark.parametrize("by_name", [False, True])
def test_an_optimizers_closure_is_forward_and_backward_whatever_its_gradients(count, by_name):
    layer, x = nn.Linear(3, 3), torch.ones(5, 3)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=1)

    def closure():
        with torch.no_grad():
            layer(x)
        optimizer.zero_grad()
        loss = layer(x).square().sum()
        loss.backward()
        return loss

    counted = count(lambda: optimizer.step(closure=closure) if by_name else optimizer.step(closure))
    assert (counted.forward, counted.backward) == (2 * 90, 90)
    assert counted.by_module["Linear"].forward == 180


def test_a_closure_gets_what_its_optimizer_gives_it(count, x):
    class Scaled(torch.optim.SGD):
        def step(self, closure):
            closure(2, power=3)
            super().step()

    w, given = torch.ones(D, H, requires_grad=True), []

    def closure(factor, power):
        given.append((factor, power))
        (x @ w).sum().backward()

    counted = count(lambda: Scaled([w], lr=0.1).step(closure))
    assert (given, counted.forward) == ([(2, 3)], PRODUCT)


def test_a_closure_that_fails_ends_the_update(count, x):
    layer = nn.Linear(D, H)
    optimizer = torch.optim.SGD(layer.parameters())

    def step():
        with pytest.raises(ZeroDivisionError):
            optimizer.step(lambda: 1 / 0)
        with torch.no_grad():
            layer(x)

    assert count(step).forward == PRODUCT


@pytest.mark.parametrize("clip", [nn.utils.clip_grad_norm_, nn.utils.clip_grad_value_])
def test_to_clip_gradients_is_a_part_of_the_update(count, clip):
    layer = nn.Linear(D, H)
    layer(torch.ones(B, D)).sum().backward()
    counted = count(lambda: clip(layer.parameters(), 1.0))
    assert counted.pointwise["forward"] == 0
    assert counted.pointwise["optimizer"] >= D * H + H


def test_an_evaluation_without_gradients_stays_forward(count, x):
    with torch.no_grad():
        assert count(lambda: x * 2).pointwise["forward"] == B * D


def test_a_model_that_is_exported_is_not_counted(count, x):
    layer = nn.Linear(D, H)
    counted = count(lambda: torch.export.export(layer, (x,)))
    assert (counted.total, counted.pointwise["forward"]) == (0, 0)


def test_what_is_exported_keeps_its_named_arguments(x):
    class Sum(nn.Module):
        def forward(self, x):
            return torch.sum(x, dtype=torch.float64)

    with FlopCount():
        exported = torch.export.export(Sum(), (x,))
    (found,) = (node.meta["val"] for node in exported.graph.nodes if node.op == "call_function")
    assert found.dtype == exported.module()(x).dtype == torch.float64


def test_what_a_condition_calls_keeps_its_named_arguments(x):
    with torch.no_grad(), FlopCount():
        found = torch.cond(x.sum() > 0, lambda x: torch.add(x, x, alpha=3), torch.clone, (x,))
    assert torch.equal(found, 4 * x)


def test_a_condition_in_a_condition_is_counted(x):
    def product(x):
        return torch.cond(x.sum() > 1, lambda x: x @ x.T, lambda x: x @ x.T, (x,))

    with torch.no_grad(), FlopCount() as counted:
        torch.cond(x.sum() > 0, product, product, (x,))
    assert counted.total == 2 * x.shape[0] * x.numel()


def test_a_function_that_is_traced_counts_as_often_as_it_runs(count, x):
    from functorch.compile import aot_function, nop  # noqa: PLC0415  (takes a second)

    w = torch.ones(D, H, requires_grad=True)
    traced = aot_function(lambda x, w: (x @ w).square().sum(), fw_compiler=nop)
    counted = count(lambda: traced(x, w).backward())
    assert (counted.forward, counted.backward) == (PRODUCT, PRODUCT)


@pytest.mark.filterwarnings("ignore:no rule")
@pytest.mark.parametrize("trained", ["argument", "tensor", "layer"])
def test_a_condition_in_training_says_what_to_do(trained):
    x, w = (torch.ones(4, 4, requires_grad=name == trained) for name in ("argument", "tensor"))
    layer = nn.Linear(4, 4)
    branch = {"argument": torch.square, "tensor": lambda x: x @ w, "layer": lambda x: layer(x) + x}[trained]
    with pytest.raises(RuntimeError) as error, FlopCount():
        torch.cond(x.sum() > 0, branch, lambda x: x * 2, (x,))
    assert str(error.value) == (
        "cond cannot be counted in training: PyTorch takes its gradient only in a compiled function, and what is "
        "counted runs uncompiled. Write it with if and for while you count"
    )
    with torch.no_grad(), FlopCount() as counted:
        torch.cond(x.sum() > 0, branch, lambda x: x * 2, (x,))
    assert (counted.total, counted.pointwise["forward"]) == {
        "argument": (0, 16 + 16), "tensor": (2 * 4 * 16, 16), "layer": (2 * 4 * 16, 16 + 16 + 16)
    }[trained]  # fmt: skip
    if trained == "layer":
        assert counted.by_module["Linear"].flops == 2 * 4 * 16


def map_over(x, w):
    return map_op(lambda row: row @ w, x)


def scanned(x, w):
    return scan(lambda total, row: (total @ w, total + row), x[0], x)


def looped(x, w):
    return while_loop(lambda i, row: i < 4, lambda i, row: (i + 1, row @ w), (torch.tensor(0), x[0]))


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")
@pytest.mark.parametrize("repeat", [map_over, scanned, looped])
def test_what_control_flow_repeats_is_counted_and_in_training_says_what_to_do(repeat, count):
    x, w = torch.ones(4, 5), torch.ones(5, 5)
    counted = count(lambda: repeat(x, w))
    runs = 4 + (repeat is scanned and torch.__version__ < (2, 13))  # an older scan runs once more, to see shapes
    assert (counted.total, counted.uncounted) == (runs * 2 * 5 * 5, {})
    w.requires_grad_()
    with pytest.raises(RuntimeError, match=r"^(map_impl|scan|while_loop) cannot be counted in training"), FlopCount():
        repeat(x, w)


def test_a_condition_on_tensors_without_data_is_not_counted_in_both_branches():
    with FakeTensorMode(), warnings.catch_warnings(action="ignore"), FlopCount() as counted:
        x = torch.ones(4, 4)
        torch.cond(x.sum() > 0, torch.square, lambda x: x * 2, (x,))
    assert counted.uncounted == {"higher_order::cond": 1}


def test_a_module_that_no_other_holds_keeps_its_path_when_it_runs_again():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    x = torch.ones(2, 4, requires_grad=True)
    with FlopCount() as counted:
        checkpoint(lambda x: second(first(x)), x, use_reentrant=False).sum().backward()
    assert list(counted.by_module) == ["", "Linear", "Linear_2"]
    product = 2 * 2 * 4 * 4  # the last one of a checkpoint need not run again
    assert [counted.by_module[name].flops for name in ("Linear", "Linear_2")] == [4 * product, 3 * product]


def test_what_runs_when_a_gradient_is_ready_belongs_to_no_module():
    layer, after, made = nn.Linear(4, 4), torch.ones(4, 4), []
    layer.weight.register_post_accumulate_grad_hook(lambda weight: made.append(weight.grad @ after))
    with FlopCount() as counted:
        layer(torch.ones(2, 4)).sum().backward()
    own = 2 * 2 * 2 * 4 * 4
    assert (counted.by_module["Linear"].flops, counted.total) == (own, own + 2 * 4 * 4 * 4)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_a_module_that_a_checkpoint_runs_again_is_the_module_that_ran(count, x, use_reentrant):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = nn.Sequential(nn.Linear(D, H), nn.Linear(H, D))

        def forward(self, x):
            return checkpoint(self.block, x, use_reentrant=use_reentrant)

    model = Model()
    counted = count(lambda: model(x.requires_grad_()).sum().backward())
    paths = ["", "Model", "Model.block", "Model.block.0", "Model.block.1"]
    assert [*counted.by_module] == paths
    assert counted.by_module["Model.block.0"].recomputed == PRODUCT


def test_undoing_the_scale_of_a_loss_belongs_to_the_optimizer(count):
    w = torch.ones(D, H, requires_grad=True)
    w.grad = torch.ones(D, H)
    optimizer, scaler = torch.optim.SGD([w], lr=0.1), torch.amp.GradScaler("cpu")
    scaler.scale(torch.ones(()))
    counted = count(lambda: scaler.unscale_(optimizer))
    assert counted.pointwise["optimizer"] >= w.numel()
    assert counted.pointwise["forward"] == 1  # the reciprocal of the scale, once for all gradients


@pytest.mark.parametrize("name", ["cond", "map_impl", "scan", "associative_scan", "while_loop"])
def test_each_operator_of_control_flow_is_refused_in_training_and_no_other_time(name):
    operator = getattr(torch.ops.higher_order, name)
    with pytest.raises(RuntimeError, match=f"{name} cannot be counted in training"):
        _refuse_to_train(operator, (torch.ones(3, requires_grad=True),))
    _refuse_to_train(operator, (torch.ones(3),))
    with torch.no_grad():
        _refuse_to_train(operator, (torch.ones(3, requires_grad=True),))
