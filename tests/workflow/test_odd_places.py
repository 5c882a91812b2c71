"""A clone, an interpreter and a config under names that shells, Snakemake and rich read as something else."""

import sys
from pathlib import Path

import yaml

from tests.workflow.project import Project, fake_project

PLACE = "a b[1] [red] {x} $HOME 'ü\" -"


class OddProject(Project):
    """Its interpreter lies beside it, its config has a name of its own."""

    def command(self, *arguments: str) -> list[str]:
        return [str(self.folder.parent / "environment" / "bin" / "python"), "-m", *arguments]

    def write_config(self) -> None:
        self.own.parent.mkdir(exist_ok=True)
        self.own.write_text(yaml.safe_dump(self.config, sort_keys=False))

    @property
    def own(self) -> Path:
        return self.folder / "my configs {y}" / "-odd [1] {z} 'ü.yaml"


def test_a_clone_in_an_odd_place_runs_whole(tmp_path: Path) -> None:
    folder = tmp_path / PLACE / "clone"
    folder.parent.mkdir()
    (folder.parent / "environment").symlink_to(sys.prefix)
    project = OddProject(fake_project(folder).folder)
    texts = folder / "data [1] {y}" / "-ü"
    texts.mkdir(parents=True)
    (texts / "a.txt").write_text("words")
    project.config["sources"]["prose"] |= {"corpus": "files", "files": ["data [1] {y}/-ü/*.txt"]}
    project.write_config()
    config = str(project.own.relative_to(folder))
    command = ["snakemake", "--cores", "4", "--quiet", "all", "--configfile", config, "--", "all"]
    project.snakemake(*command)
    made = project.made()
    assert "report/summary" in made and len(made) == len(set(made))
    assert "Nothing would run" in project.snakemake("unix_lib", "plan", config).stdout
    checked = project.snakemake("unix_lib", "doctor", config, check=False, COLUMNS="200")
    assert "source prose: data [1] {y}/-ü/*.txt" in checked.stdout
    refused = project.snakemake("unix_lib", "plan", "[red] :x: [/].yaml", check=False)
    assert refused.returncode == 1 and "[red] :x: [/].yaml" in refused.stderr and "Traceback" not in refused.stderr
