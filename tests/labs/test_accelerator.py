"""Test the record of a device: each part has its result or its reason."""

import json
import os

import jupytext
import pytest
import torch

from flopbook.labs import accelerator
from flopbook.labs.accelerator import agreement, executed, gpt2, memory, paths, record, training
from flopbook.labs.accelerator.clock import Clock
from flopbook.measure import FlopCount
from tests.conftest import ROOT

SMALL = dict(L=2, D=16, H=2, E=8, F=32, V=11, T=6)


@pytest.fixture
def two_parts(monkeypatch):
    """Make one part that gives a result, and one that fails."""

    def fails(device, clock):
        raise RuntimeError("no kernel image\nand a stack")

    monkeypatch.setattr(accelerator, "parts", lambda: {"works": lambda device, clock: {"on": device}, "fails": fails})


def read(folder):
    return json.loads((folder / "accelerator.json").read_text())


def test_each_part_has_its_result_or_its_reason(two_parts, tmp_path):
    said = []
    found = record(tmp_path / "new", "cpu", said.append)
    assert read(tmp_path / "new") == found
    assert found["schema"] == "flopbook.accelerator/1" and found["device"]["type"] == "cpu"
    assert found["torch"] == torch.__version__ and found["recorded"].endswith("+00:00")
    assert found["parts"]["works"]["on"] == "cpu"
    assert found["parts"]["fails"]["missing"] == "RuntimeError: no kernel image"
    assert said[1].startswith("works: done") and said[2].startswith("fails: RuntimeError: no kernel image")


def test_an_interruption_loses_only_the_rest(monkeypatch, tmp_path):
    def interrupted(device, clock):
        raise KeyboardInterrupt

    monkeypatch.setattr(accelerator, "parts", lambda: {"first": lambda *_: {"done": 1}, "second": interrupted})
    with pytest.raises(KeyboardInterrupt):
        record(tmp_path, "cpu", str)
    assert read(tmp_path)["parts"]["first"]["done"] == 1


def test_what_does_not_fit_into_the_time_is_named(two_parts, monkeypatch, tmp_path):
    monkeypatch.setattr(accelerator, "_SECONDS", 0)
    assert record(tmp_path, "cpu", str)["parts"]["works"]["missing"] == "the 0 s for all parts were over"


def test_a_folder_that_cannot_be_written_to_costs_no_measurement(two_parts, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        record(tmp_path / "file", "cpu", str)


def test_profiled_and_counted_agree_on_the_published_step():
    found = agreement.profile_the_source("cpu", Clock(60))
    assert found["profiled"] == found["counted"]
    assert found["counted"]["total"] == 6_628_048_896


def test_agreement_is_noted_test_by_test(monkeypatch, tmp_path):
    (tmp_path / "tests" / "agreement").mkdir(parents=True)
    (tmp_path / "tests" / "agreement" / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('device', ['cpu', 'accelerator'])\n"
        "@pytest.mark.parametrize('n', [1, 2, 3])\n"
        "def test_it(device, n):\n"
        "    if n == 2: pytest.skip('not here')\n"
        "    assert n != 3, device\n"
    )
    (tmp_path / "tests" / "agreement" / "test_unread.py").write_text("import nothing_of_that_name")
    monkeypatch.setattr(agreement, "ROOT", tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    found = agreement.test("cpu", Clock(60))
    assert (found["passed"], found["skipped"]) == (1, {"Skipped: not here": 1})
    assert [one["test"].endswith("test_it[3-cpu]") for one in found["failed"]] == [True]
    assert "No module named 'nothing_of_that_name'" in found["unread"]["tests/agreement/test_unread.py"]
    assert "stopped" not in found


def test_without_a_checkout_the_tests_say_where_they_were_sought(monkeypatch, tmp_path):
    monkeypatch.setattr(agreement, "ROOT", tmp_path)
    with pytest.raises(FileNotFoundError, match="run from a checkout, with PYTHONPATH=src"):
        agreement.test("cpu", Clock(60))


@pytest.mark.parametrize("checkpointed", [False, True])
def test_the_model_is_the_one_that_the_formulas_predict(checkpointed):
    step, predicted = gpt2.make_step(SMALL, 3, "cpu", checkpointed=checkpointed), gpt2.predicted(SMALL, 3)
    with FlopCount() as counted:
        step.run()
    assert sum(parameter.numel() for parameter in step.model.parameters()) == predicted["parameters"]
    assert counted.forward == predicted["forward"]
    assert counted.model_flops == predicted["forward"] + predicted["backward"]
    assert bool(counted.recomputed) == checkpointed


def test_bytes_are_predicted_and_weighed_alike():
    found = memory._weighed(SMALL, 3, "cpu", checkpointed=False)
    assert found["predicted"] == {kind: found["weighed"][kind] for kind in found["predicted"]}
    checkpointed = memory._weighed(SMALL, 3, "cpu", checkpointed=True)["weighed"]
    assert checkpointed["after_forward"] < checkpointed["activations"] < found["weighed"]["activations"]


def test_mfu_is_of_what_the_model_needs_and_hfu_of_what_ran():
    found = training._measured(gpt2.make_step(SMALL, 3, "cpu", checkpointed=True), peak=1e9)
    assert found["mfu"] == found["model_flops"] / found["seconds"] / 1e9
    assert found["hfu"] == found["hardware_flops"] / found["seconds"] / 1e9 > found["mfu"]


def test_a_missing_kernel_is_named_in_pytorchs_words():
    def lacks():
        raise RuntimeError("No viable backend\nfor this")

    assert training._or_reason(Clock(60), "eager", lacks) == {"missing": "No viable backend"}
    assert training._or_reason(Clock(1), "eager", lacks) == {"missing": "less than 15 s were left"}


def test_optimizers_in_a_loop_foreach_and_fused_are_counted_alike():
    loop, each, fused = (paths._counted(paths.PATHS[f"AdamW, {how}"], "cpu") for how in ("a loop", "foreach", "fused"))
    assert loop["pointwise"] == each["pointwise"] == fused["pointwise"]
    assert loop["pointwise"]["optimizer"] == 14 * (paths.D * paths.D + paths.D) + 2  # and the counters of two tensors


def test_a_replay_of_a_graph_needs_a_gpu():
    (replay,) = (name for name in paths.PATHS if name.startswith("replay"))
    said = paths._counted(paths.PATHS[replay], "cpu")["missing"]
    assert said == "CUDA graphs are a way to run NVIDIA GPUs, and this device is cpu"


def test_a_device_without_counters_says_so(monkeypatch):
    assert executed.measure("cpu", Clock(60))["missing"].startswith("instructions are counted by Nsight Compute on an")
    monkeypatch.setenv("PATH", "")
    assert executed.measure("cuda", Clock(60))["missing"].startswith("ncu is not installed")


def made_up():
    """Make a record as a GPU might leave it; every number is invented."""
    rates = {"widths": [2], "flop_per_s": [3e12], "median_flop_per_s": [2e12], "missing": ""}
    step = {"hardware_flops": 10, "seconds": 0.5, "mfu": 0.4, "hfu": 0.5}
    parts = {
        "profiled": {"profiled": {"total": 6_628_048_896}, "counted": {"total": 6_628_048_896}},
        "agreement": {"passed": 1, "failed": [], "skipped": {}},
        "roofs": {
            "products": {"bf16": {"random": rates, "zero": rates | {"flop_per_s": [], "missing": "none"}}},
            "data_sheet": {"peak_flop_per_s": {"bf16": 9e12}},
            "bytes_per_s": {"in cache": {"copy": 1e12, "read": 2e12, "add": 3e12}},
        },
        "memory": {"plain": {}, "checkpointed": {}},
        "paths": {},
        "executed": {"missing": "ncu is not installed"},
        "training": {"model": "GPT", "steps": {"flash, eager": step, "cuDNN, eager": {"missing": "none"}}},
    }
    return {"device": {"name": "GPU"}, "recorded": "", "torch": "", "python": "", "parts": parts}


@pytest.mark.parametrize("lost", [None, "roofs", "training", "memory", "profiled", "agreement"])
def test_the_page_shows_a_record_and_what_is_missing_in_it(lost, tmp_path, monkeypatch):
    shown = made_up()
    if lost:
        shown["parts"][lost] = {"missing": "the time was over"}
    for folder in ("data", "records"):
        (tmp_path / folder).mkdir()
    (tmp_path / "data" / "accelerator.json").write_text(json.dumps(shown))
    monkeypatch.chdir(tmp_path / "records")
    page = jupytext.read(ROOT / "reference" / "records" / "accelerator.md")
    names = {}
    for cell in page.cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, "accelerator.md", "exec"), names)
    assert names["fastest"]({"flop_per_s": [3e12]}) == "3.00 TFLOP/s"
    assert len(names["steps"]) == (0 if lost == "training" else 2)


def test_every_record_in_the_book_was_made_by_a_device():
    assert (ROOT / "reference" / "records" / "accelerator.md").exists()
    path = ROOT / "reference" / "data" / "accelerator.json"
    assert not path.exists() or json.loads(path.read_text())["device"]["type"] != "cpu"
