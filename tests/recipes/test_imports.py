"""The workflow's main process, and every nested parse in a SLURM job, must not import torch."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_planning_imports_no_heavy_package() -> None:
    code = (
        "import sys; from pathlib import Path; from unix_lib.config import load_experiment;"
        "from unix_lib.recipes.resolve import resolve; import unix_lib.recipes.workspace, unix_lib.config.kinds as k;"
        "[resolve(load_experiment(path), Path.cwd()) for path in Path('config').glob('*.yaml')];"
        "[k.find_kind(sort, name, k.Kind) for sort in k.ROOMS for name in k.known_kinds(sort)];"
        "heavy = {'torch', 'transformers', 'deepspeed', 'datasets', 'matplotlib', 'pandas'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_the_package_itself_imports_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import unix_lib;sys.exit(str(set(sys.modules) - before - {'unix_lib'}))"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.stderr.strip() == "set()"
