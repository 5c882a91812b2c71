"""The README's commands exist, its config example loads, and its links lead somewhere."""

import re
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from unix_lib.__main__ import app
from unix_lib.config import parse_experiment

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "unix_lib" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^ {4})make ([a-z-]+)", TEXT, re.MULTILINE))
    assert {"run", "test"} <= named <= targets


def test_every_command_exists() -> None:
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"unix-lib ([a-z-]+)", TEXT)) <= commands


def test_every_config_and_pipeline_is_listed() -> None:
    for path in (ROOT / "config").glob("*.yaml"):
        assert f"`{path.stem}`" in (ROOT / "README.md").read_text() or path.name in TEXT


def test_the_example_of_ones_own_images_loads() -> None:
    example = re.search(r"```yaml\n(extends: .*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert example is not None
    experiment = parse_experiment(yaml.safe_load(example.group(1)), "README", ROOT / "config")
    assert experiment.sources["photos"].kind == "image_folder"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
