"""The workflow's main process, and every nested parse in a SLURM job, must not import torch."""

import subprocess
import sys


def test_planning_imports_no_heavy_package() -> None:
    code = (
        "import sys, unix_lib.config, unix_lib.recipes.plan, unix_lib.recipes.workspace, unix_lib.records.schema;"
        "heavy = {'torch', 'transformers', 'deepspeed', 'datasets', 'matplotlib', 'pandas'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_the_package_itself_imports_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import unix_lib;sys.exit(str(set(sys.modules) - before - {'unix_lib'}))"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.stderr.strip() == "set()"
