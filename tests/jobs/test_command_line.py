"""What a script's command line gives its job."""

import os
import subprocess
import sys
from pathlib import Path

from tests.jobs.making import make_job
from unix_lib.config.jobs import Execution, JobShape
from unix_lib.config.tokenize import TokenizeSettings
from unix_lib.jobs.command_line import THREADS
from unix_lib.recipes.workspace import execution_path

SCRIPT = """
import sys
from unix_lib.jobs.command_line import run_script
from unix_lib.jobs.job import Job

def make(self):
    assert not {"numpy", "torch"} & sys.modules.keys()
    import torch
    print(torch.get_num_threads())

Job.make = make
run_script("tokenize", None)
"""


def test_a_job_computes_with_the_threads_of_its_shape_whoever_starts_it(tmp_path: Path) -> None:
    alone = Execution(job=JobShape(threads=1))
    job = make_job(tmp_path, "tokenize", "prose", "tokens", TokenizeSettings(template="ours"), execution=alone)
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    recipe = job.recipe.path(tmp_path)
    given = ["--recipe", recipe, "--execution", execution_path(recipe), "--output", job.folder / "manifest.json"]
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py", *given],
        check=True,
        env=os.environ | dict.fromkeys(THREADS, "2"),
        capture_output=True,
        text=True,
    )
    assert done.stdout == "1\n"
