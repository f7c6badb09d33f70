"""Test the workflows for GitHub, as far as possible without GitHub."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def commands(workflow: Path) -> list[str]:
    """Yield every command that a workflow runs."""
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_make_targets_and_the_check_of_every_change_alone(workflow):
    for command in commands(workflow):
        program, *targets = command.split()
        assert command == ".ci/run" or (program == "make" and targets and set(targets) <= TARGETS), command


def test_every_change_is_checked_on_both_systems_with_the_oldest_and_the_newest_python():
    check = yaml.safe_load((ROOT / ".github" / "workflows" / "check.yml").read_text(encoding="utf-8"))["jobs"]["check"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    pythons = re.findall(r"Python :: (3\.\d+)", project)
    assert check["strategy"]["matrix"] == {
        "system": ["ubuntu-latest", "macos-latest"],
        "python": [pythons[0], pythons[-1]],
    }
    assert f'requires-python = ">={pythons[0]}"' in project
