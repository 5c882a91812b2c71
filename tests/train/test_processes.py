"""How the processes of a training job end."""

import subprocess
import sys
from pathlib import Path

from tests.train.experiment import Experiment, command, environment
from unix_lib.artefacts.manifest import read_manifest

ABORTS_AT_ITS_END = "import atexit, os\nif 'RANK' in os.environ:\n    atexit.register(os.abort)\n"


def test_what_happens_while_python_ends_fails_no_finished_checkpoint(tmp_path: Path) -> None:
    """As gloo's threads do now and then; here every launched process would abort."""
    startup = tmp_path / "startup"
    startup.mkdir()
    (startup / "sitecustomize.py").write_text(ABORTS_AT_ITS_END, encoding="utf-8")
    dangerous = environment() | {"PYTHONPATH": str(startup)}
    alone = subprocess.run([sys.executable, "-c", ""], check=False, env=dangerous | {"RANK": "0"})
    assert alone.returncode < 0, "nothing aborts"
    experiment = Experiment(tmp_path / "results")
    job = experiment.job(2, execution={"job": {"nodes": 2}})
    subprocess.run(command(job), check=True, env=dangerous)
    assert read_manifest(job.folder).facts["step"] == 2
