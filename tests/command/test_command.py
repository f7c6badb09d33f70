"""Test the command line: what it prints, its exit codes, and one sentence for each mistake."""

import json
import subprocess
import sys

import pytest

from flopbook.command import main
from tests.support.reports import quick_reports  # noqa: F401  (pytest finds it here)

TRAIN = """
import torch
from torch import nn

model, other = nn.Linear(16, 5), nn.Linear(16, 3)
x, optimizer = torch.ones(8, 16), torch.optim.SGD(model.parameters(), lr=0.1)
steps = 3

def step():
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()

def two():
    model(x), other(x)

def broken():
    return model(torch.ones(8, 17))

def build(D, F):
    return nn.Sequential(nn.Linear(D, F), nn.GELU(), nn.Linear(F, D))

def inputs(B, D):
    return torch.empty(B, D)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Stand in a folder with a file train.py."""
    (tmp_path / "train.py").write_text(TRAIN, encoding="utf-8")
    (tmp_path / "half.py").write_text("import nothing_like_it", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("train", "half"):
        sys.modules.pop(name, None)


def test_count_prints_the_report_of_a_step(capsys):
    assert main(["count", "train:step"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Training step of Linear, 8 samples") and "1,280" in said


def test_count_prints_json_and_writes_a_trace(capsys, folder):
    assert main(["count", "train:step", "--json", "--trace", "step.json", "--samples", "4"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["samples"], report["counted"]["flops"]["total"]["contractions"]) == (4, 2 * 1280)
    assert json.loads((folder / "step.json").read_text(encoding="utf-8"))["traceEvents"]


def test_the_model_is_named_where_a_step_calls_several(capsys):
    assert main(["count", "train:two", "--model", "train:other"]) == 0
    assert "18" not in capsys.readouterr().err


def test_trace_prints_the_formula(capsys):
    assert main(["trace", "train:build", "train:inputs", "B=8", "D=16", "F=64"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["the", "whole", "step", "4*B*D*F", "6*B*D*F"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("count train", "'train' is not MODULE:NAME: write it like train:step"),
        ("count train.py:step", "'train.py:step' names a file: write train:step, from the folder that it starts in"),
        ("count trian:step", "there is no module 'trian' in "),
        (
            "count half:step",
            "import half raised ModuleNotFoundError: No module named 'nothing_like_it' (half.py, line 1)",
        ),
        ("count train:stp", "'train:stp': train has no 'stp': did you mean step?"),
        ("count train:steps", "'train:steps' is 3, which cannot be called: name a function"),
        ("count train:build", "train:build: build() missing 2 required positional arguments: 'D' and 'F'"),
        ("count train:two", "'train:two' calls Linear, Linear: say which one to report with --model MODULE:MODEL"),
        ("count train:broken", "train:broken raised RuntimeError: mat1 and mat2 shapes cannot be multiplied (8x17"),
        ("count train:step --samples 0", "train:step: samples=0: give how many samples a step takes, 1 or more"),
        ("count train:step --device H100", "train:step: device='H100' is not a device whose data sheet is known here:"),
        ("count train:step --tokens 0", "train:step: tokens=0: give how many tokens a step takes, 1 or more"),
        ("count train:step --model train:x", "train:step: model=tensor("),
        ("count train:step --trace none/step.json", "--trace: 'none/step.json': there is no folder"),
        ("trace train:build train:inputs B=8", "no size is given for D, F: add D=8"),
        ("trace train:build train:inputs B=8 D=16 F=64 K=2", "neither function takes K: they take D, F, B"),
        ("trace train:build train:inputs B=8 D=x", "'D=x' is not a letter's size: write it like B=8"),
        (f"trace train:build train:inputs B={'9' * 5000}", "'B=99999"),
        ("trace train:model train:inputs B=8", "train:model: build is not a function but a Linear"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(capsys, arguments, said):
    assert main(arguments.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"flopbook: {said}") and err.count("\n") == 1


def test_the_line_that_is_named_is_the_readers_own(capsys):
    main(["count", "train:broken"])
    assert (
        f"(train.py, line {TRAIN.splitlines().index('    return model(torch.ones(8, 17))') + 1})"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["count"]])
def test_a_wrong_command_shows_the_usage(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2 and capsys.readouterr().err.startswith("usage: flopbook")


@pytest.mark.parametrize("command", ["count", "trace"])
def test_help_has_an_example(capsys, command):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f"  flopbook {command} " in capsys.readouterr().out


def run(*command):
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)


def test_a_mistake_and_help_load_neither_side():
    shown = "import sys\nfrom flopbook.command import main\nmain(['count', 'train'])\ntry:\n    main(['--help'])\n"
    loaded = "except SystemExit:\n    print({'torch', 'sympy'} & {*sys.modules})"
    assert run("-c", shown + loaded).stdout.splitlines()[-1] == "set()"


def test_the_module_runs_as_the_command():
    ran = run("-m", "flopbook", "count", "train")
    assert ran.returncode == 2 and ran.stderr.startswith("flopbook: 'train' is not MODULE:NAME")


LLAMA = {
    "model_type": "llama", "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 40, "vocab_size": 53,
}  # fmt: skip


def test_plan_prints_what_a_run_takes(capsys, folder):
    (folder / "config.json").write_text(json.dumps(LLAMA), encoding="utf-8")
    assert main(["plan", "config.json", "--tokens", "15T", "--devices", "512", "--mfu", "40%"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("llama: 15,000,000,000,000 tokens in steps of 512 sequences of 4,096, on 512 x H100 SXM")
    parameters = 2 * 53 * 24 + 3 * (2 * 24 * 24 + 2 * 24 * 12 + 3 * 24 * 40 + 2 * 24) + 24
    assert f"{parameters:,}" in said


def test_plan_prints_exact_numbers_as_json(capsys):
    assert (
        main(["plan", "Llama 3 8B", "--json", "--sharding", "ZeRO 3", "--devices", "8", "--device", "B200 HGX, fp8"])
        == 0
    )
    said = json.loads(capsys.readouterr().out)
    assert said["choices"]["Device"] == "B200 HGX, fp8"
    assert said["rows"]["Bytes of parameters"] == 2 * said["rows"]["Parameters"] // 8 == 2007565312


def test_plan_takes_a_mesh(capsys):
    mesh = ["--devices", "64", "--tensor", "8", "--pipeline", "4", "--micro-batches", "12"]
    assert main(["plan", "Llama 3 70B", *mesh]) == 0
    said = capsys.readouterr().out
    assert "in steps of 24 sequences" in said and "tensor 8, context 1, pipeline 4, micro-batches 12" in said
    assert main(["plan", "Llama 3 70B", "--json", *mesh]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows["Copies of the model"] == 2
    assert rows["Bubble of the pipeline"] == 20
    assert rows["Bytes of parameters"] == 2 * rows["Parameters"] // 32


def test_models_lists_names_and_shows_one(capsys):
    assert main(["models"]) == 0
    assert "Llama 3 8B" in capsys.readouterr().out
    assert main(["models", "Llama 3 8B"]) == 0
    assert "8,030,261,248 parameters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.json"], "'nothing.json' cannot be read: No such file or directory"),
        ([""], "'' is not a model that is known by name"),
        (["ViT-B/16"], "ViT-B/16 does not read tokens"),
        (["list.json"], "model_type = ['llama'] is not understood"),
        (["broken.json"], "broken.json is not JSON"),
        (["other.json"], "model_type = 'lama' is not understood: did you mean 'llama'?"),
        (["Llama 3 8"], "'Llama 3 8' is not a model that is known by name: known are Llama 3 8B"),
        (["Llama 3 8B", "--tokens", "15X"], "--tokens '15X' is not an amount: write one such as 512, 300B or 15T"),
        (["Llama 3 8B", "--tokens", "9" * 5000], "is not an amount"),
        (["Llama 3 8B", "--devices", "0"], "--devices '0' is not an amount"),
        (["Llama 3 8B", "--tensor", "0"], "--tensor '0' is not an amount"),
        (
            ["Llama 3 8B", "--devices", "20", "--tensor", "4", "--pipeline", "2"],
            "take 8 devices for a copy of the model, which does not divide the 20 of --devices: give 24",
        ),
        (
            ["Llama 3 8B", "--devices", "64", "--tensor", "64"],
            "--tensor 64 does not divide 32 heads: give a divisor of 32",
        ),
        (["Llama 3 8B", "--devices", "16", "--tensor", "16"], "--tensor 16 does not divide 8 heads of keys and values"),
        (["Llama 3 8B", "--devices", "3", "--context", "3"], "--context 3 does not divide 4,096 tokens of a sequence"),
        (
            ["Llama 3 8B", "--devices", "64", "--pipeline", "64"],
            "--pipeline 64 is more than 32 layers: give at most 32",
        ),
        (["Llama 3 8B", "--batch", ""], "--batch '' is not an amount"),
        (["Llama 3 8B", "--mfu", "0.4"], "--mfu '0.4' is not a share of the peak: write a percentage such as 40%"),
        (["Llama 3 8B", "--device", "H100SXM"], "--device: device='H100SXM' is not a device"),
        (["Llama 3 8B", "--device", "H100 SXM, fp5"], "fp5"),
        (["Llama 3 8B", "--mfu", "140%"], "--mfu '140%' is not a share of the peak: write a percentage such as 40%"),
        (["Llama 3 8B", "--sharding", "ZeRO"], "'ZeRO' is not one of these: none; ZeRO 1; ZeRO 2; ZeRO 3"),
    ],
)
def test_plan_tells_a_mistake_in_one_sentence(arguments, words, capsys, folder):
    (folder / "broken.json").write_text("{", encoding="utf-8")
    (folder / "other.json").write_text(json.dumps(LLAMA | {"model_type": "lama"}), encoding="utf-8")
    (folder / "list.json").write_text(json.dumps(LLAMA | {"model_type": ["llama"]}), encoding="utf-8")
    assert main(["plan", *arguments]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.count("\n") == 1 and not said.out


def test_models_names_the_nearest(capsys):
    assert main(["models", "Lama 3 8B"]) == 2
    assert "known are Llama 3 8B" in capsys.readouterr().err


def test_a_reader_that_has_enough_ends_a_command_without_a_word():
    command = [sys.executable, "-u", "-m", "flopbook", "models"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as models:
        models.stdout.close()
        assert (models.stderr.read(), models.wait(60)) == (b"", 0)
