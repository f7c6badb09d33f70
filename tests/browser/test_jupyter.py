"""Test a lecture in JupyterLab: it runs, asks before it answers, and what turns agrees with `evaluate`."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from os import environ
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from flopbook.predict import B, D, K, evaluate
from tests.conftest import ROOT
from tests.support.browser import IN_BROWSER

pytestmark = [
    *IN_BROWSER,
    pytest.mark.skipif(find_spec("jupyterlab") is None, reason="JupyterLab is not installed"),
]
LECTURE = "lectures/matrix-product.md"
PAGE = (ROOT / LECTURE).read_text("utf-8")
CONFIG = {
    "ServerApp": {"contents_manager_class": "flopsite.jupyter.contents.PageManager", "open_browser": False},
    "LanguageServerManager": {"autodetect": False},  # which would start node, to look for servers of other languages
    "IdentityProvider": {"token": ""},
}
#: `jupyter lab`, after flopsite has said that no grammar of addresses is to be made, which takes a second.
LAB = "import flopsite, jupyterlab.labapp; jupyterlab.labapp.main()"
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/lab")


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[str]:
    """Serve the pages by JupyterLab, with settings of its own, as `make lab` does."""
    folder = tmp_path_factory.mktemp("jupyter")
    (folder / "jupyter_server_config.json").write_text(json.dumps(CONFIG), "utf-8")
    tracker = folder / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True)
    tracker.write_text(json.dumps({"windowingMode": "none"}), "utf-8")  # else only the cells in sight are shown
    viewer = subprocess.run(["make", "--dry-run", "lab"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert CONFIG["ServerApp"]["contents_manager_class"] in viewer
    environment = {
        **environ,
        "JUPYTER_CONFIG_DIR": str(folder),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "PYTHONPATH": str(ROOT / "src"),
    }
    python = Path(sys.executable)
    subprocess.run([python.with_name("jupytext-config"), "set-default-viewer"], env=environment, check=True)
    command = [python, "-c", LAB, "--allow-root", "--port=0", "--ip=127.0.0.1"]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    found = (ADDRESS.search(line) for line in server.stderr)
    yield next(address[0] for address in found if address)
    server.terminate()
    server.communicate()


def _run_all(page: Page) -> None:
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def test_a_lecture_runs_in_jupyterlab_and_turns_as_on_the_site(lab, page: Page):
    page.goto(f"{lab}/tree/{LECTURE}")
    status = page.locator(".jp-Notebook-ExecutionIndicator")
    expect(status).to_have_attribute("data-status", "idle")
    expect(page.locator(".jp-CodeCell")).to_have_count(len(re.findall(r"^```{code-cell}", PAGE, re.MULTILINE)))
    expect(page.locator(".jp-Toolbar-kernelName")).to_contain_text("Python")  # before, nothing that one runs is run
    prose = page.locator(".jp-MarkdownOutput")
    assert not [text for text in prose.all_inner_texts() if re.search(r"[:`]{3}\{|\{[a-z:]+\}`", text)]
    for reason in page.get_by_text(re.compile(r"^(Right|Not so)\.")).all():
        assert not reason.is_visible()

    _run_all(page)
    calculator = page.locator(".calculator.ready")
    try:
        expect(calculator).to_have_count(1, timeout=20_000)
    except AssertionError:  # JupyterLab may lose what is run while its kernel starts
        _run_all(page)
    expect(calculator).to_have_count(1)
    expect(page.locator(".exercise.ready")).to_have_count(4)
    expect(status).to_have_attribute("data-status", "idle")
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0

    calculator = page.locator(".calculator.ready")
    for size, number in {"B": 1009, "D": 4093, "K": 50_021}.items():
        calculator.locator(f"[data-size={size}] [type=text]").fill(str(number))
    flops = evaluate(2 * B * D * K, {"B": 1009, "D": 4093, "K": 50_021})
    expect(calculator.locator(".results .long").first).to_have_text(f"{flops:,}")

    picture = page.locator("figure.picture.ready").first
    before = picture.locator("figcaption").inner_text()
    picture.get_by_role("slider").first.press("End")
    expect(picture.locator("figcaption")).not_to_have_text(before)

    answer = page.locator(".exercise.ready").first
    answer.locator("input").click()
    page.keyboard.type("2BDDK")  # D would delete a cell, were it not for the field
    page.keyboard.press("Enter")
    expect(answer.locator("[role=status]")).to_contain_text("I read 2*B*D*D*K")
    assert "?" not in page.url
