"""Share the built site, kernels, and a way to count one step."""

import gc
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests beside have the other processors

# Where a script runs the tests in the background, Ctrl-C is ignored, and all that they start would ignore it, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

if find_spec("hypothesis"):  # on a borrowed machine it may be missing, and then the tests that draw nothing run
    from hypothesis import HealthCheck, settings

    # The same examples on every run: a failure is never news about something else than the change at hand.
    settings.register_profile(
        "book", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("book")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Start three workers for two processors: tests wait for kernels, browsers and ranks, too."""
    processors = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(8, processors * 3 // 2)  # each takes a gigabyte


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep the garbage collector from searching what modules hold, which all stays, and let it search seldom."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(20_000)  # new objects, in place of 700 or 2,000
        gc.enable()


@pytest.fixture(scope="session")
def site() -> Path:
    """Return the folder of the built site; `make test` builds it first."""
    folder = ROOT / "_build" / "html"
    if not (ROOT / "_build" / "complete").exists():
        pytest.fail("the site is not built: run `make html` first, or `make test` for both", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def pages(site: Path) -> list[str]:
    """Return the pages of the site by their address."""
    return sorted(str(path.relative_to(site)) for path in site.rglob("*.html"))


@pytest.fixture(scope="session")
def run_notebook():
    """Run a notebook as a page, in a forked kernel, and return all outputs."""
    from flopsite.execution.execute import run  # noqa: PLC0415  (most tests need no kernel)
    from flopsite.execution.kernel import Kernels  # noqa: PLC0415

    with Kernels() as kernels:

        def outputs(notebook, folder: Path, path: Path) -> list:
            run(notebook, folder, kernels, {"PYTHONPATH": str(path)})
            made = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
            assert [output.text for output in made if output.get("name") == "stderr"] == []
            return made

        yield outputs


@pytest.fixture
def count():
    """Count one step; an operator without a rule warns, and so fails the test."""
    from flopbook.measure import FlopCount  # noqa: PLC0415  (tests of the site need no torch)

    def counted(step):
        with FlopCount() as count:
            step()
        return count

    return counted
