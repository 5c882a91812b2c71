"""A hostfile that can't give what the config asks for stops a run before its first job."""

from tests.workflow.project import Project


def test_too_few_hosts_stop_the_run_before_its_first_job(project: Project) -> None:
    project.config["train"]["job"] = {"nodes": 2}
    project.config["train"]["runs"]["unix"]["seed"] = 11
    project.write_config()
    (project.folder / "hosts").write_text("alone slots=8\n")
    (project.folder / "site.yaml").write_text("hostfile: hosts\n")
    refused = project.snakemake("--cores", "4", "--", "all", check=False)
    assert refused.returncode != 0
    assert "1 of its 1 host(s) have 1 slot(s), and the job's shape asks for 2 such" in refused.stderr
    assert not project.made()
