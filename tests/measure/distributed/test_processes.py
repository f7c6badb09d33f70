"""Test that a function runs on every rank, that each failure is one sentence, and that no process is left."""

import os
import signal
import subprocess
import sys
import time
from threading import Lock, Thread

import pytest
import torch
from torch import distributed

from flopbook.measure.distributed import run_ranks


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def all_end(processes, seconds=10):
    """Wait until the processes have ended."""
    until = time.monotonic() + seconds
    while any(map(is_running, processes)) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(map(is_running, processes))


@pytest.fixture
def noted(tmp_path):
    """Return a function that a rank notes its process with; at the end all of them have to be gone."""
    folder = str(tmp_path)

    def note():
        with open(f"{folder}/{os.getpid()}", "x"):
            pass

    yield note
    processes = [int(path.name) for path in tmp_path.iterdir()]
    assert processes and not any(map(is_running, processes))


def test_results_stand_in_the_order_of_ranks(noted):
    def late(base):
        noted()
        time.sleep(0.2 * (distributed.get_rank() == 0))  # so that the first rank is the last to end
        return base + distributed.get_rank(), distributed.get_world_size(), torch.get_num_threads()

    assert run_ranks(late, 10, ranks=3) == [(10, 3, 1), (11, 3, 1), (12, 3, 1)]


def test_ranks_meet(noted):
    def summed():
        noted()
        number = torch.tensor([distributed.get_rank() + 1])
        distributed.all_reduce(number)
        return number.item()

    assert run_ranks(summed, ranks=4) == [10] * 4


def test_a_function_may_be_a_lambda_and_one_rank_is_enough():
    assert run_ranks(lambda: distributed.get_world_size(), ranks=1) == [1]  # noqa: PLW0108


@pytest.mark.skipif(sys.platform != "linux", reason="ranks are not forked on this system")
def test_the_compiler_that_an_optimizer_imports_is_imported_once_for_all_ranks():
    def imported():
        weight = torch.ones(3, requires_grad=True)
        weight.sum().backward()
        before = {*sys.modules}
        torch.optim.AdamW([weight]).step()
        return "torch._dynamo" in before, "torch._dynamo" in sys.modules

    assert run_ranks(imported) == [(True, True)] * 2


def test_a_result_may_be_larger_than_a_pipe_holds_while_a_rank_waits(noted):
    def large():
        noted()
        if distributed.get_rank() == 0:
            time.sleep(0.2)
        return bytes(2**24)

    assert [len(each) for each in run_ranks(large)] == [2**24] * 2


def waits():
    distributed.all_reduce(torch.ones(3))


def raises(error):
    def step(note):
        note()
        if distributed.get_rank() == 1:
            raise error
        waits()

    return step


def test_a_rank_that_raises_is_named_with_its_error_and_place(noted):
    with pytest.raises(RuntimeError) as raised:
        run_ranks(raises(ValueError("no such\nbatch")), noted)
    assert str(raised.value) == "rank 1 of 2 raised ValueError: no such batch: all ranks were ended"
    (note,) = raised.value.__notes__
    assert note.startswith("On rank 1:\nTraceback") and "in step" in note and "in _work" not in note


def test_the_rank_that_failed_first_is_named_though_others_lose_it(noted):
    def step():
        noted()
        if distributed.get_rank() == 2:
            time.sleep(0.3)
            raise ValueError("first")
        waits()

    with pytest.raises(RuntimeError, match=r"^rank 2 of 3 raised ValueError: first: all ranks were ended\n"):
        run_ranks(step, ranks=3)


def test_a_rank_that_leaves_is_named(noted):
    with pytest.raises(RuntimeError, match=r"^rank 1 of 2 raised SystemExit: 3: all ranks were ended\n"):
        run_ranks(raises(SystemExit(3)), noted)


@pytest.mark.parametrize(
    ("end", "how"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by SIGKILL"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), "was killed by SIGTERM"),
        (lambda: os._exit(7), "ended with exit code 7"),
        (lambda: os._exit(0), "ended with exit code 0"),
    ],
)
def test_a_rank_that_ends_without_a_word_is_named(noted, end, how):
    def step():
        noted()
        if distributed.get_rank() == 1:
            end()
        waits()

    with pytest.raises(RuntimeError, match=f"^rank 1 of 2 {how}: all ranks were ended$"):
        run_ranks(step)


def test_ranks_that_never_end_are_ended(noted):
    def step():
        noted()
        if distributed.get_rank() < 2:
            time.sleep(600)
        return "done"

    with pytest.raises(RuntimeError, match=r"^ranks 0, 1, 2 of 3 did not end within 0\.8 seconds: all ranks were"):
        run_ranks(step, ranks=3, seconds=0.8)  # the third waits for the others


def test_a_rank_that_waits_for_what_no_other_calls_is_ended(noted):
    def step():
        noted()
        if distributed.get_rank() == 0:
            distributed.recv(torch.ones(3), 1)

    with pytest.raises(RuntimeError, match=r"Let every rank call the same collectives in the same order$"):
        run_ranks(step, seconds=0.8)


def test_a_result_that_cannot_be_sent_is_an_error_of_the_rank(noted):
    def step():
        noted()
        return Lock()

    with pytest.raises(RuntimeError, match=r"^rank \d of 2 raised TypeError: cannot pickle '_thread\.lock' object: "):
        run_ranks(step)


def test_an_interrupt_ends_all_ranks(noted, tmp_path):
    def step():
        noted()
        time.sleep(600)

    def interrupt():
        while not any(tmp_path.iterdir()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run_ranks(step)


ORPHANED = """
import os, sys, time
from flopbook.measure.distributed import run_ranks

def step(seconds):
    print(os.getpid(), flush=True)
    time.sleep(seconds)

run_ranks(print, "from a rank")
run_ranks(step, 600, seconds=20)
"""


def test_a_script_needs_no_guard_and_ranks_print_and_end_with_it(tmp_path):
    (tmp_path / "script.py").write_text(ORPHANED, encoding="utf-8")
    with subprocess.Popen([sys.executable, tmp_path / "script.py"], stdout=subprocess.PIPE, text=True) as script:
        assert [script.stdout.readline() for _ in range(2)] == ["from a rank\n"] * 2
        ranks = [int(script.stdout.readline()) for _ in range(2)]
        assert all(map(is_running, ranks))
        script.kill()
        assert all_end(ranks)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: run_ranks(7), TypeError, r"^7 cannot be called: write run_ranks\(step, ranks=2\)$"),
        (lambda: run_ranks(waits, ranks=0), ValueError, "^ranks=0 is not a size: write a whole number of at least 1$"),
        (lambda: run_ranks(waits, ranks=2.0), ValueError, r"^ranks=2\.0 is not a size"),
        (lambda: run_ranks(waits, seconds=0), ValueError, "^seconds=0 is out of range: write a positive number$"),
        (lambda: run_ranks(print, Lock()), TypeError, "cannot be sent to the ranks: cannot pickle '_thread.lock'"),
    ],
)
def test_a_mistake_starts_no_rank(call, error, words):
    with pytest.raises(error, match=words):
        call()
