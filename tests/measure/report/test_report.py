"""Test what a report shows, what it refuses, and that it reads what ran."""

import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from flopbook.measure import Report
from flopbook.measure.report import Projection
from flopbook.measure.report.rule_of_thumb import formulas


class Regression(nn.Module):
    """Holds two layers and a loss, for steps of any batch."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 5), nn.Tanh())
        self.head = nn.Linear(5, 2)

    def forward(self, x, scale=1.0):
        return self.head(self.body(x)) * scale


def training(model, optimizer, **called):
    def step():
        optimizer.zero_grad()
        model(**called).square().mean().backward()
        optimizer.step()

    return step


@pytest.fixture(scope="module")
def model():
    return Regression()


@pytest.fixture(scope="module")
def report(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return Report.measure(training(model, optimizer, x=torch.ones(7, 6)), model=model)


def test_configuration(report):
    found = report.configuration
    assert (found.model, found.device, found.dtypes, found.torch) == (
        "Regression",
        "cpu",
        ("float32",),
        torch.__version__,
    )
    assert found.inputs == ("float32[7, 6]",)
    assert found.optimizers[0].startswith("Adam(lr=0.01, betas=(0.9, 0.999), eps=1e-08")
    assert found.threads == torch.get_num_threads()


def test_parameters_and_samples(report):
    assert (report.parameters, report.trainable, report.samples) == (47, 47, 7)


def test_frozen_parameters_are_not_trainable():
    model = Regression()
    model.body.requires_grad_(False)
    report = Report.measure(lambda: model(torch.ones(3, 6)), model=model)
    assert (report.parameters, report.trainable) == (47, 12)
    assert "47, 12 trainable" in str(report)


def test_flops_of_each_phase(report):
    assert (report.forward, report.backward, report.total) == (560, 700, 1260)
    assert report.flops_per_sample == 180
    assert report.counted.step.costs["optimizer"].pointwise > 0


def test_every_module_that_ran_has_a_latency(report):
    assert set(report.latency) == {
        "Regression",
        "Regression.body",
        "Regression.body.0",
        "Regression.body.1",
        "Regression.head",
    }
    assert report.latency["Regression"] >= report.latency["Regression.body"] > 0


def test_memory(report):
    assert report.memory[:4] == (188, 0, 188, 2 * 188 + 4 * 4)
    assert report.memory.peak is None
    assert (
        report.memory.after_forward == report.memory.activations == 4 * 7 * (6 + 5 + 2)
    )  # the data, tanh's result, and what is squared


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize(
    ("layout", "bytes_"),
    [(torch.sparse_coo, 7 * (4 + 2 * 8)), (torch.sparse_csr, 7 * (4 + 8) + 8 * 8 + 7 * 2 * 4)],
    ids=["coordinates", "rows, which keep the other operand too"],
)
def test_a_sparse_matrix_weighs_what_it_stores(model, layout, bytes_):
    matrix = torch.eye(7).to_sparse(layout=layout)
    report = Report.measure(lambda: torch.sparse.mm(matrix, model(torch.ones(7, 6))).sum().backward(), model=model)
    assert report.memory.activations == 4 * 7 * (6 + 5) + bytes_  # with the data and tanh's result


def test_a_sparse_gradient_weighs_what_it_stores():
    model = nn.Embedding(5, 3, sparse=True)

    def step():
        model.zero_grad()
        model(torch.tensor([1, 3])).sum().backward()

    assert Report.measure(step, model=model).memory.gradients == 2 * (3 * 4 + 8)


def test_projection(report):
    assert report.project(3) == Projection(3, 3 * 1260, 3 * report.timing.seconds)
    assert report.flop_per_s == 1260 / report.timing.seconds


def test_samples_are_what_one_says(model):
    report = Report.measure(lambda: model(torch.ones(2, 3, 6)), model=model, samples=6)
    assert report.samples == 6
    assert report.formulas["total"].flops == 2 * 47 * 6


def test_the_model_may_be_called_with_keywords_and_in_containers():
    class Packed(nn.Module):
        def forward(self, scale, batch):
            return scale * batch["x"]

    packed = Packed()
    report = Report.measure(lambda: packed(2.0, batch={"x": torch.ones(9, 2)}), model=packed)
    assert (report.samples, report.parameters, report.total, report.formulas) == (9, 0, 0, {})
    assert "Forward pass of Packed, 9 samples" in str(report)


class Language(nn.Module):
    """Holds a table, a layer and an output layer, with no attention."""

    def __init__(self, width=6, vocabulary=11):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.layer = nn.Linear(width, width, bias=False)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, ids, mask=None):
        return self.head(self.layer(self.table(ids)))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
@pytest.mark.parametrize(("batch", "length"), [(3, 7), (1, 5), (4, 1)])
def test_the_rule_of_thumb_of_a_language_model_counts_tokens(batch, length, dtype):
    model = Language()
    report = Report.measure(lambda: model(torch.zeros(batch, length, dtype=dtype)).sum().backward(), model=model)
    tokens, multiplied, table = batch * length, 6 * 6 + 6 * 11, 11 * 6
    assert (report.samples, report.tokens) == (batch, tokens)
    assert report.total == 6 * multiplied * tokens
    assert report.formulas["total"].flops == 6 * (multiplied + table) * tokens  # a table is looked up
    assert report.flops_per_token == 6 * multiplied
    assert f"6 x parameters x tokens  {6 * (multiplied + table) * tokens:,}" in str(report)
    assert f", {tokens} tokens\n" in str(report)
    assert "It leaves out the scores of attention" in str(report)
    assert json.loads(report.to_json())["tokens"] == tokens


def test_tokens_are_what_one_says_and_categories_need_not_be_tokens():
    model = Language()
    report = Report.measure(lambda: model(torch.zeros(3, 7, dtype=torch.int64)), model=model, tokens=3)
    assert (report.samples, report.tokens, report.formulas["total"].flops) == (3, 3, 2 * 168 * 3)


def test_only_the_first_tensor_holds_tokens():
    model, ids = Language(), torch.zeros(3, 7, dtype=torch.int64)
    assert Report.measure(lambda: model(ids, mask=torch.ones(3, 9, dtype=torch.int64)), model=model).tokens == 21


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.bool])
def test_data_and_images_are_not_tokens(dtype):
    class Model(nn.Module):
        def forward(self, x):
            return x.float().sum()

    model, x = Model(), torch.ones(7, 6).to(dtype)
    report = Report.measure(lambda: model(x), model=model)
    assert (report.samples, report.tokens, report.flops_per_token) == (7, None, None)
    assert "token" not in str(report)


@pytest.mark.parametrize("tokens", [0, -3, 2.0, True, "8"])
def test_tokens_that_are_not_a_number_are_quoted(model, tokens):
    with pytest.raises(ValueError) as error:
        Report.measure(lambda: model(torch.ones(7, 6)), model=model, tokens=tokens)
    assert str(error.value) == f"tokens={tokens!r}: give how many tokens a step takes, 1 or more"


def test_rule_of_thumb_and_its_error():
    said = formulas(10, 3, {"forward": 50, "backward": 160, "total": 210})
    assert {phase: (formula.factor, formula.flops) for phase, formula in said.items()} == {
        "forward": (2, 60), "backward": (4, 120), "total": (6, 180),
    }  # fmt: skip
    assert [formula.error for formula in said.values()] == pytest.approx([0.2, -0.25, 180 / 210 - 1])


def test_rule_of_thumb_of_a_forward_pass():
    assert formulas(10, 3, {"forward": 60, "backward": 0, "total": 60})["total"] == (2, 60, 0.0)


def test_text_has_every_part(report):
    text = str(report)
    assert text.startswith("Training step of Regression, 7 samples\n")
    for line in (
        "FLOPs      contractions  rule of thumb            says    errs  pointwise  fused",
        "forward             560  2 x parameters x batch    658  +17.5%         77     49",
        "total             1,260  6 x parameters x batch  1,974  +56.7%",
        "a sample            180",
        "memory         bytes  rounded",
        "Backward takes 1.2500 times the FLOPs of forward.",
    ):
        assert line in text
    assert re.search(r"^10,000  12,600,000 ", text, re.MULTILINE)
    assert re.search(r"^    0 Linear .* s +[\d.]+% .*FLOP/s$", text, re.MULTILINE) is None  # it lies one level deeper
    assert re.search(r"^      0 Linear .* µ?m?s +[\d.]+% .*FLOP/s$", text, re.MULTILINE)


def test_one_sample_and_a_backward_pass_without_contractions():
    model = nn.Embedding(5, 3)
    report = Report.measure(lambda: model(torch.tensor([1])).sum().backward(), model=model)
    assert str(report).startswith("Training step of Embedding, 1 sample, 1 token\n")


def test_bytes_of_each_operator_and_module(report):
    forward = {line.name: line for line in report.modules.values()}
    first, second = 4 * (7 * 6 + 6 * 5 + 5), 4 * (7 * 5 + 5 * 2 + 2)  # data, weight and bias
    tanh, scale = 4 * 7 * 5, 4 * 7 * 2
    assert (forward["Regression.body.0"].read, forward["Regression.body.0"].written) == (first, 4 * 7 * 5)
    assert (forward["Regression.body.1"].read, forward["Regression.body.1"].written) == (tanh, tanh)
    assert (forward["Regression.body"].read, forward["Regression.body"].written) == (first + tanh, 2 * tanh)
    assert (forward["Regression"].read, forward["Regression"].written) == (
        first + tanh + second + scale,
        2 * tanh + 2 * scale,
    )
    assert forward["Regression.head"].intensity == (2 * 7 * 5 * 2 + 7 * 2) / (second + scale)
    by_operator = {line.name: line for line in report.roofline}
    assert by_operator["aten::addmm"][:4] == ("aten::addmm", 609, first + second, tanh + scale)
    assert sum(line.read for line in report.roofline) == report.whole.read
    assert sum(part.flops for part in report.work) == report.counted.step.cost.flops == report.whole.flops


def test_the_roof_allows_each_operator_flops_over_peak_or_bytes_over_bandwidth(model):
    report = Report.measure(lambda: model(torch.ones(7, 6)), model=model, device="H100 SXM", dtype="bf16")
    assert report.roof[:4] == ("H100 SXM", "bf16", 989.4e12, 3.35e12)
    for line in report.roofline:
        parts = [part for part in report.work if part.operator == line.name]
        assert line.allowed_seconds == sum(max(part.flops / 989.4e12, part.bytes / 3.35e12) for part in parts)
        assert line.reached is None or line.reached == line.allowed_seconds / line.seconds
    assert report.modules[""].allowed_seconds == pytest.approx(report.whole.allowed_seconds)
    assert report.modules["Regression"].seconds == report.latency["Regression"]
    assert report.whole.seconds == report.timing.seconds
    assert report.mfu() == report.mfu(989.4e12)
    assert "Roof: H100 SXM in bf16, 989 TFLOP/s and 3.35 TB/s; data sheet of 2026-11." in str(report)


def test_on_the_meta_device_a_data_sheet_says_how_long_a_step_takes_at_least():
    with torch.device("meta"):
        model, x = Regression(), torch.ones(7, 6)
    alone, beside = (Report.measure(lambda: model(x), model=model, device=device) for device in (None, "H100 SXM"))
    assert (alone.roof, alone.whole.allowed_seconds, alone.work) == (None, None, beside.work)
    assert beside.roof.dtype == "fp32"
    assert (beside.whole.allowed_seconds > 0, beside.whole.seconds, beside.whole.reached) == (True, None, None)
    assert "Roof: H100 SXM" in str(beside) and "Roof:" not in str(alone)


def test_without_a_data_sheet_the_machine_is_measured_and_gives_no_mfu(report):
    assert report.roof.is_measured
    assert report.roof.device == "cpu" and report.roof.dtype == "fp32"
    assert "; measured, the fastest square product and a copy." in str(report)
    with pytest.raises(ValueError, match="peak_flop_per_s=None is not a peak"):
        report.mfu()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            dict(device="H100", dtype="bf16"),
            "device='H100' is not a device whose data sheet is known here: did you mean",
        ),
        (dict(device="TPU7x"), "dtype='fp32' has no peak on the data sheet of the TPU7x: write one of 'bf16', 'fp8'"),
        (dict(dtype="fp12"), "dtype='fp12' is not known"),
        (dict(dtype=torch.complex64), "dtype=torch.complex64 is not a format of data sheets"),
    ],
)
def test_a_roof_that_nobody_knows_is_refused_before_the_step_runs(model, given, said):
    def step():
        raise AssertionError

    with pytest.raises(ValueError, match=re.escape(said)):
        Report.measure(step, model=model, **given)


def test_text_down_to_a_depth(report):
    assert "head Linear" in report.table(depth=2)
    assert "head Linear" not in report.table(depth=1)


def test_html_folds_without_a_script_and_without_colors(report):
    html = report._repr_html_()
    assert "<caption>Training step of Regression, 7 samples</caption>" in html
    assert html.count("<details") == html.count("</details>") == 6
    assert not re.search(r"<script|<style|style=|color|onclick", html)


def test_json_says_the_same(report, tmp_path):
    text = report.to_json(tmp_path / "report.json")
    assert (tmp_path / "report.json").read_text() == text
    said = json.loads(text)
    assert said["schema"] == "flopbook.report/3"
    assert said["counted"]["schema"] == "flopbook.count/1"
    assert said["counted"]["flops"]["total"]["contractions"] == report.total
    assert said["formulas"]["total"]["flops"] == 1974
    assert said["memory_bytes"]["parameters"] == 188
    assert said["timing"]["flop_per_s"] == report.flop_per_s
    assert said["projection"]["steps"] == 10_000


def test_the_reference_names_every_field(report):
    described = (Path(__file__).parents[3] / "reference" / "report-schema.md").read_text()

    def fields(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield key
                yield from fields(inner)
        for inner in value if isinstance(value, list) else ():
            yield from fields(inner)

    paths = set(report.latency) | set(report.modules)
    missing = {field for field in fields(json.loads(report.to_json())) if f"`{field}`" not in described} - paths
    assert not missing


def test_a_report_holds_neither_the_model_nor_its_tensors(report):
    text = repr(report)
    assert "tensor(" not in text and "Parameter" not in text
    assert text.startswith("Report(configuration=Configuration(model='Regression'")


def test_nothing_is_written_to_standard_error(model, capfd):
    Report.measure(lambda: model(torch.ones(7, 6)), model=model)
    assert capfd.readouterr() == ("", "")


def test_on_the_meta_device_flops_are_counted_and_nothing_is_timed(report, tmp_path):
    with torch.device("meta"):
        model, x = Regression(), torch.ones(7, 6)
    optimizer = torch.optim.Adam(model.parameters())
    meta = Report.measure(training(model, optimizer, x=x), model=model)
    assert meta.counted == report.counted
    assert meta.memory == report.memory
    assert (meta.timing, meta.latency, meta.flop_per_s, meta.project(2).seconds) == (None, {}, None, None)
    assert "latency" not in str(meta)
    with pytest.raises(ValueError, match="nothing runs on the meta device"):
        meta.save_trace(tmp_path / "trace.json")


def test_a_compiled_model_is_reported_as_the_model(report, model):
    compiled = torch.compile(model, backend="eager")
    optimizer = torch.optim.Adam(model.parameters())
    found = Report.measure(training(compiled, optimizer, x=torch.ones(7, 6)), model=compiled)
    assert found.configuration.model == "Regression"
    assert found.counted == report.counted
    assert set(found.latency) == set(report.latency)
    torch.compiler.reset()


def test_what_a_checkpoint_or_a_fused_kernel_makes_again_is_in_hfu_and_not_in_mfu():
    query = nn.Linear(8, 8)

    def step():
        q = query(torch.ones(2, 2, 4, 8))
        nn.functional.scaled_dot_product_attention(q, q, q).sum().backward()
        checkpoint(query, torch.ones(3, 8), use_reentrant=False).square().sum().backward()

    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        report = Report.measure(step, model=query)
    layer, pair, segment = 2 * 16 * 8 * 8, 2 * 2 * 2 * 4 * 4 * 8, 2 * 3 * 8 * 8
    assert report.model_flops == 2 * layer + 6 * pair + 2 * segment
    assert report.total == report.model_flops + pair + report.counted.step.costs["recomputed"].contractions
    assert report.mfu(1e9) == report.model_flops / report.timing.seconds / 1e9
    assert report.hfu(1e9) == report.total / report.timing.seconds / 1e9


@pytest.mark.parametrize("peak", [0, -1, float("nan"), float("inf"), None, True, "1e12"])
def test_a_peak_that_is_not_one_is_quoted(report, peak):
    with pytest.raises(ValueError) as error:
        report.mfu(peak)
    assert str(error.value) == f"peak_flop_per_s={peak!r} is not a peak: write a positive number of FLOP/s"
