"""`doctor`: what works, what is missing, and how to get it."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.provenance import installed_version
from unix_lib.cluster.hosts import read_hostfile, require_reachable
from unix_lib.cluster.site import SITE, Site, read_site
from unix_lib.cluster.slurm import faults, keeps_accounts
from unix_lib.commands.marks import marked
from unix_lib.config import Experiment, load_experiment, lock_of
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.jobs import Execution
from unix_lib.config.outside import Outside
from unix_lib.fetch.brought import brought
from unix_lib.fetch.needs import missing_because, needs_of, stated
from unix_lib.recipes.plan import STAGES

PACKAGES = (
    "snakemake",
    "snakemake-executor-plugin-slurm",
    "torch",
    "transformers",
    "deepspeed",
    "accelerate",
    "lm-eval",
    "dvc",
    "pandas",
    "pyarrow",
    "matplotlib",
)
GPU_PACKAGES = {
    "flash-attn": ".venv/bin/pip install --no-build-isolation -r envs/gpu.txt",
    "cut-cross-entropy": "see envs/gpu.txt; without it the loss is computed in chunks",
}


def run(config: Path, console: Console) -> int:
    """Print one row per check; returns 1 when something that this config needs is missing."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # looking must not download; read when Hugging Face's libraries are imported
    table = Table(title="doctor", title_justify="left")
    for heading in ("", "what", "found", "remedy"):
        table.add_column(heading, overflow="fold")
    needed_missing = 0

    def row(ok: bool, what: str, found: str, remedy: str = "", needed: bool = True) -> None:
        nonlocal needed_missing
        needed_missing += needed and not ok
        mark = marked("ok", "green") if ok else marked("missing", "red") if needed else marked("absent", "yellow")
        table.add_row(mark, what, found, "" if ok else remedy)

    python = sys.version_info[:2]
    row(python >= (3, 11), "Python", ".".join(map(str, sys.version_info[:3])), "install Python 3.11 or newer")
    for package in PACKAGES:
        version = installed_version(package)
        row(version is not None, package, version or "-", "make setup")
    experiment = load_experiment(config)
    row(*_device(_gpus_asked(experiment)))
    for package, remedy in GPU_PACKAGES.items():
        version = installed_version(package)
        row(version is not None, package, version or "-", remedy, needed=False)
    sbatch = shutil.which("sbatch")
    row(sbatch is not None, "SLURM (sbatch)", sbatch or "-", "only for --profile slurm, on a login node", needed=False)
    profile = Path("slurm/config.yaml")
    row(profile.is_file(), "SLURM profile", str(profile), "restore the link: ln -s workflow/profiles/slurm slurm")
    site = read_site()
    row(SITE.is_file(), "site", str(SITE) if SITE.is_file() else "-", "see docs/cluster.md", needed=False)
    refused: list[str] = []
    if sbatch is not None:
        row(True, "SLURM job states", "sacct" if keeps_accounts() else "squeue: there is no accounting database")
        refused = _of_cluster(site, experiment)
        told = f"refused: {len(refused)}" if refused else "would be taken"
        row(not refused, "SLURM jobs", told, "see below", needed=SITE.is_file())
    if site.hostfile is not None:
        row(*_hosts(site.hostfile, site.remote_shell))
    where = experiment.translate.endpoint
    if experiment.translations and where.key_variable is not None:
        there = bool(os.environ.get(where.key_variable))
        told = "set" if there else "not set"
        row(there, f"key to {where.url}", told, f"export {where.key_variable}=...", needed=False)
    free = shutil.disk_usage(".").free / 1e9
    row(free > 5, "free disk", f"{free:.0f} GB", "the default experiment takes about 1 GB")
    lock = lock_of(config)
    for need in needs_of(experiment):
        reason = missing_because(need)
        pin = " --pin" * (need.repository is not None and not need.repository.is_pinned)
        own = brought(need)
        remedy = f"unix-lib fetch {config}{pin}" if need.local is None else "put it there"
        if own is not None:
            remedy += f"; from {own.where}"
        known = own or stated(need, lock)
        row(
            reason is None,
            need.what + (f" ({known})" if known else ""),
            reason or ("streamed" if need.streamed else "there"),
            remedy,
        )
    console.print(table)
    for fault in refused:
        console.print(f"SLURM: {fault}", soft_wrap=True, highlight=False)
    hashes = FileHashes.of_plan(Path("results") / experiment.experiment)
    for line in experiment.notices(Outside(Path.cwd(), hashes)):
        console.print(line, soft_wrap=True, highlight=False)
    return 1 if needed_missing else 0


def _gpus_asked(experiment: Experiment) -> int:
    """The most GPUs that a job of the experiment asks for on a node."""
    sections = (experiment.encode, experiment.train, experiment.generate, experiment.evaluate, experiment.analyze)
    return max(section.job.gpus for section in sections if section is not None)


def _of_cluster(site: Site, experiment: Experiment) -> list[str]:
    """What this cluster would not run of the experiment."""
    jobs = [(stage, section) for stage in STAGES if isinstance(section := getattr(experiment, stage, None), Execution)]
    try:
        return faults(site, [("sources", Execution(job=experiment.sources_job)), *jobs])
    except UserError as error:
        return [str(error)]


def _hosts(hostfile: Path, remote_shell: str) -> tuple[bool, str, str, str]:
    try:
        hosts = read_hostfile(hostfile)
        require_reachable(hosts, remote_shell)
    except UserError as error:
        return False, "hosts", str(hostfile), str(error)
    return True, "hosts", ", ".join(f"{host.name} ({host.slots})" for host in hosts), ""


def _device(gpus_asked: int) -> tuple[bool, str, str, str]:
    if importlib.util.find_spec("torch") is None:
        return False, "devices", "torch is not installed", "make setup"
    import torch

    count = torch.cuda.device_count()
    names = ", ".join(sorted({torch.cuda.get_device_name(i) for i in range(count)}))
    found = f"{count} GPU ({names})" if count else f"no GPU here, {torch.get_num_threads()} CPU threads"
    remedy = f"the config asks for {gpus_asked} GPUs a node; fine on a login node"
    return count >= gpus_asked, "devices", found, remedy
