"""Call each counter as its own documentation does.

Each function takes a model and its inputs and returns FLOPs: the tool's own
numbers, doubled where it counts multiply-accumulates (DeepSpeed and calflops
have only FLOPs for some operators). `forward` is the part that contracts where
the tool tells it apart, `left_out` what it says itself that it has no rule for.
"""

# ruff: noqa: PLC0415  (a counter is imported where it is called, since some replace functions at import)

import contextlib
import io
import re
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from torch import Tensor, nn

Answer = dict[str, int | list[str]]
Counter = Callable[[nn.Module, tuple[Tensor, ...]], Answer]

#: Each counter's package, and the function that calls the counter.
COUNTERS: dict[str, tuple[str, Counter]] = {}


def _named(pattern: str, ask: Callable[[], object]) -> tuple[Any, list[str]]:
    """Return a counter's result, and the names that it prints by a pattern."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        answer = ask()
    return answer, sorted(set(re.findall(pattern, printed.getvalue())))


_CONTRACTING = (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


def _counter(name: str, package: str) -> Callable[[Counter], Counter]:
    def register(ask: Counter) -> Counter:
        COUNTERS[name] = package, ask
        return ask

    return register


@_counter("DeepSpeed", "deepspeed")
def deepspeed(model, inputs):
    from deepspeed.profiling.flops_profiler import get_model_profile

    flops, macs, _ = get_model_profile(model, args=list(inputs), print_profile=False, as_string=False)
    return {"forward": 2 * macs or flops}


@_counter("fvcore", "fvcore")
def fvcore(model, inputs):
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(model, inputs)
    contracting = {"addmm", "bmm", "conv", "einsum", "matmul", "linear"}
    macs = sum(macs for operator, macs in analysis.by_operator().items() if operator in contracting)
    return {"forward": 2 * int(macs), "left_out": sorted(analysis.unsupported_ops())}


@_counter("calflops", "calflops")
def calflops(model, inputs):
    from calflops import calculate_flops

    options = {"args": list(inputs), "print_results": False, "output_as_string": False}
    flops, macs, _ = calculate_flops(model, **options)
    with_backward, macs_with_backward, _ = calculate_flops(model, include_backPropagation=True, **options)
    return {
        "forward": 2 * macs or flops,
        "backward": int(2 * (macs_with_backward - macs) or with_backward - flops),
    }


def _ptflops(model, inputs, backend, **options):
    from ptflops import get_model_complexity_info

    options |= {"as_strings": False, "print_per_layer_stat": False, "verbose": True, "backend": backend}
    (macs, _), left_out = _named(
        r"Warning: (?:module )?(\S+) (?:operation )?is treated as a zero-op",
        lambda: get_model_complexity_info(
            model, (1,), input_constructor=lambda _: inputs[0], ost=sys.stdout, **options
        ),
    )
    if macs is None:
        raise RuntimeError("no count")
    return macs, left_out


@_counter("ptflops, pytorch", "ptflops")
def ptflops_pytorch(model, inputs):
    """Undo an average: ptflops divides modules, not functions, by the input's first axis."""
    modules, _ = _ptflops(deepcopy(model), inputs, "pytorch", backend_specific_config={"count_functional": False})
    both, left_out = _ptflops(model, inputs, "pytorch")
    return {"forward": 2 * (len(inputs[0]) * modules + both - modules), "left_out": left_out}


@_counter("ptflops, aten", "ptflops")
def ptflops_aten(model, inputs):
    macs, left_out = _ptflops(model, inputs, "aten")
    return {"forward": 2 * macs, "left_out": left_out}


@_counter("thop", "thop")
def thop(model, inputs):
    from thop import profile

    def leaves(layers: dict, prefix: str = "") -> Iterator[tuple[nn.Module, float]]:
        for name, (macs, _, inner) in layers.items():
            if inner:
                yield from leaves(inner, f"{prefix}{name}.")
            else:
                yield model.get_submodule(prefix + name), macs

    (total, _, layers), left_out = _named(
        r"Cannot find rule for <class '(\S+)'>",
        lambda: profile(model, inputs, ret_layer_info=True, report_missing=True),
    )
    found = leaves(layers) if layers else [(model, total)]
    forward = int(2 * sum(macs for module, macs in found if isinstance(module, _CONTRACTING)))
    return {"forward": forward, "left_out": left_out}


@_counter("torchinfo", "torchinfo")
def torchinfo(model, inputs):
    from torchinfo import summary

    layers = summary(model, input_data=list(inputs), verbose=0).summary_list
    return {"forward": 2 * sum(x.macs for x in layers if x.is_leaf_layer and isinstance(x.module, _CONTRACTING))}


@_counter("torchprofile", "torchprofile")
def torchprofile(model, inputs):
    from torchprofile import profile_macs

    contracting = "addmm addmv bmm baddbmm linear matmul _convolution lstm einsum scaled_dot_product_attention"
    operators = {f"aten::{name}" for name in contracting.split()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        nodes = profile_macs(model, inputs, reduction=None)
    words = [str(warning.message) for warning in caught]
    left_out = sorted({text.split('"')[1] for text in words if text.startswith("No handlers found")})
    return {
        "forward": 2 * sum(macs for node, macs in nodes.items() if node.operator in operators),
        "left_out": left_out,
    }


@_counter("torch-flops", "torch-flops")
def torch_flops(model, inputs):
    from torch_flops import TorchFLOPsByFX

    graph = TorchFLOPsByFX(model)
    graph.propagate(*inputs)
    rows = graph.print_result_table(show=False)
    contracting = ("Linear", "Conv", "linear", "conv", "matmul", "scaled_dot_product_attention")
    flops = [row[4] for row in rows if isinstance(row[4], int) and any(word in row[2] + row[3] for word in contracting)]
    return {"forward": sum(flops), "left_out": sorted({row[2] for row in rows if row[4] == "not_recognized"})}


@_counter("flopth", "flopth")
def flopth(model, inputs):
    # It wants torchvision's list of models, for its command line only.
    sys.modules["torchvision"] = sys.modules["torchvision.models"] = types.ModuleType("torchvision")
    sys.modules["torchvision"].models = sys.modules["torchvision"]
    from flopth import flopth as count

    _, left_out = _named(r"Op (\w+) is not supported", lambda: count(model, inputs=inputs, bare_number=True))
    counted = (m for m in model.modules() if isinstance(m, _CONTRACTING) and hasattr(m, "flops"))
    return {"forward": 2 * sum(int(m.flops[0]) for m in counted), "left_out": left_out}
