"""The site's file: what is said of a stage, and what is no site."""

import re
from pathlib import Path

import pytest

from tests.workflow.project import ROOT
from unix_lib.cluster.site import read_site
from unix_lib.config.strict import ConfigError


def test_a_stage_has_its_own_word_before_the_sites(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("account: lab\npartition: gpu\nbatch: 4\nstages: {figures: {partition: cpu}}")
    site = read_site(tmp_path)
    assert (site.of("figures").account, site.of("figures").partition, site.batch_of("figures")) == ("lab", "cpu", 4)
    assert (site.of("train").partition, site.batch_of("train")) == ("gpu", 1)
    assert site.resources() == ["slurm_account", "slurm_partition"]


def test_without_a_file_the_site_says_nothing(tmp_path: Path) -> None:
    assert read_site(tmp_path).resources() == []
    assert read_site(tmp_path).batch_of("figures") == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("acount: lab", "unknown key 'acount'.*account"),
        ("stages: {training: {qos: long}}", "training: no such stage; there are sources.*train"),
        ("stages: {train: {batch: 2}}", "train.batch: segments are long"),
        ("", "holds no keys; give at least account and partition"),
        ("account: [a", "not valid YAML"),
        ("options: --exclusive --mem=4", "--mem: account, partition, qos"),
        ("stages: {figures: {options: -p cpu}}", "-p: account, partition"),
        ("batch: 0", "greater than or equal to 1"),
    ],
)
def test_what_is_no_site_is_refused_by_name(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "site.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"site\.yaml: .*{told}"):
        read_site(tmp_path)


def test_the_example_of_the_documentation_is_a_site(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n# site\.yaml\n(.*?)```", (ROOT / "docs" / "cluster.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        (tmp_path / "site.yaml").write_text(block)
        assert read_site(tmp_path) != read_site(tmp_path / "elsewhere")
    assert "/site.yaml\n" in (ROOT / ".gitignore").read_text()
