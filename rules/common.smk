# What every rule shares: the plan, and the paths, inputs and resources that follow from a recipe.
#
# The main process resolves the config into a plan. Snakemake starts itself again inside each SLURM job; there
# everything is read from the recipe files that the main process wrote, never from the config, so that editing the
# YAML during a run can't mix old and new values.

import os
from dataclasses import replace

from snakemake.settings.enums import RerunTrigger

from unix_lib.config import ConfigError, load_experiment, parse_experiment
from unix_lib.config.outside import FileHashes
from unix_lib.recipes.plan import STAGES
from unix_lib.recipes.resolve import resolve
from unix_lib.recipes.workspace import (
    link_current,
    read_planned,
    read_shape,
    unfinished,
    write_plan,
)

PYTHON = sys.executable
DEFAULT_CONFIG = ROOT / "config" / "laptop.yaml"
PLAN, UNFINISHED = None, set()

if workflow.is_main_process:
    try:
        # From the files, as every command reads them: Snakemake's `config` does not say in which folder `extends`
        # is looked for.
        overrides = dict(workflow.config_settings.config)  # of --config
        if workflow.configfiles:
            experiment = load_experiment(*workflow.configfiles, overrides=overrides)
        else:
            experiment = parse_experiment(
                {"extends": DEFAULT_CONFIG.name} | overrides,
                origin=(
                    f"{DEFAULT_CONFIG} with overrides"
                    if overrides
                    else str(DEFAULT_CONFIG)
                ),
                folder=DEFAULT_CONFIG.parent,
            )
        results = Path("results") / experiment.experiment
        PLAN = resolve(
            experiment, Path.cwd(), FileHashes(results / ".file-hashes.json")
        )
        UNFINISHED = set(unfinished(PLAN, results))
    except ConfigError as error:
        raise WorkflowError(str(error)) from None


class DigestsDecide(type(workflow)):
    """Manifests under the digests of recipes decide what runs; of Snakemake's own triggers only file times are left.

    The others would run a job again because its list of order-only predecessors changed (a checkpoint added before it)
    or because a rule's text did. A job that makes several artefacts runs again when one of them is gone, which
    Snakemake, knowing only the last one, can't see.
    """

    @property
    def dag_settings(self):
        return self.__dict__.get("dag_settings")

    @dag_settings.setter
    def dag_settings(self, settings):
        lost = [manifest_of(artefact) for artefact in UNFINISHED]
        self.__dict__["dag_settings"] = replace(
            settings,
            rerun_triggers=frozenset({RerunTrigger.MTIME}),
            forcerun=frozenset(settings.forcerun).union(filter(os.path.exists, lost)),
        )


workflow.__class__ = DigestsDecide


wildcard_constraints:
    experiment=r"[a-z0-9._-]+",
    name=r"[a-z0-9._-]+",
    digest=r"[0-9a-f]{12}",


def manifest_of(artefact):
    return f"results/{PLAN.name}/{artefact}/manifest.json"


def manifests(*stages):
    """Manifests of all planned artefacts of some stages; nothing inside a SLURM job, which has its own target."""
    return [manifest_of(artefact) for artefact in PLAN.targets(*stages)] if PLAN else []


def manifests_up_to(artefacts):
    """Manifests of some artefacts and of all that they build on."""
    return [manifest_of(artefact) for artefact in PLAN.upstream(artefacts)]


def single_targets():
    """Artefacts by the name of a target of their own: `figure_<name>`, `analysis_<name>`, `run_<name>`."""
    own = {"figures": "figure", "analyze": "analysis", "train": "run"} if PLAN else {}
    return {
        f"{what}_{name}": artefacts
        for stage, what in own.items()
        for name, artefacts in PLAN.parts(stage).items()
    }


def artefact(stage):
    """Output of a rule: the manifest, a job's last act."""
    return f"results/{{experiment}}/{stage}/{{name}}-{{digest}}/manifest.json"


def recipe_path(stage):
    return f"results/{{experiment}}/recipes/{stage}/{{name}}-{{digest}}.json"


def execution_path(stage):
    return f"results/{{experiment}}/recipes/{stage}/{{name}}-{{digest}}.execution.json"


def log_path(stage):
    return f"results/{{experiment}}/logs/{stage}/{{name}}-{{digest}}.log"


def benchmark_path(stage):
    return f"results/{{experiment}}/benchmarks/{stage}/{{name}}-{{digest}}.tsv"


def planned(stage, wildcards):
    """The planned job behind a rule's wildcards; None inside a SLURM job or for an older recipe on disk."""
    return (
        PLAN.jobs.get(f"{stage}/{wildcards.name}-{wildcards.digest}") if PLAN else None
    )


def upstream(stage):
    """Input function of a stage: the manifests that a recipe builds on, as `ancient`.

    A finished job lists none: nothing that happens before it is a reason to make it again.
    """

    def manifests_of(wildcards):
        base = Path("results") / wildcards.experiment
        key = f"{wildcards.name}-{wildcards.digest}"
        job = planned(stage, wildcards)
        if job is None:  # inside a SLURM job: everything before it is there
            needed = read_planned(base, stage, key).upstream
            needed = [a for a in needed if not a.startswith(f"{stage}/")]
        elif f"{stage}/{key}" in UNFINISHED:
            needed = PLAN.waits_for(f"{stage}/{key}")
        else:
            needed = []
        return [ancient(f"{base}/{a}/manifest.json") for a in needed]

    return manifests_of


def shape_of(stage, wildcards):
    """Threads, memory, GPUs, nodes and wall time of a job."""
    job = planned(stage, wildcards)
    return (
        job.execution.job
        if job
        else read_shape(Path(recipe_path(stage).format(**wildcards)))
    )


def threads_of(stage):
    return lambda wildcards: shape_of(stage, wildcards).threads


def memory_mb(stage):
    return lambda wildcards: shape_of(stage, wildcards).memory_mb


def runtime_minutes(stage):
    return lambda wildcards: shape_of(stage, wildcards).runtime_minutes


def gpus(stage):
    """GPUs of a job on one node. Several nodes ask through `gres`, since `--gpus` counts over all of them."""

    def of(wildcards):
        shape = shape_of(stage, wildcards)
        return shape.gpus if shape.nodes == 1 else 0

    return of


def command(script, launcher=""):
    """Command line of a script; the log holds everything it prints, the screen its progress."""
    return (
        f"{launcher}{PYTHON} -P scripts/{script}.py --recipe {{params.recipe}} --execution {{params.execution}} "
        "--output {output.manifest} --log {log}"
    )


if PLAN:

    onstart:
        write_plan(PLAN, results)
        link_current(PLAN, results)

    onsuccess:
        link_current(PLAN, results)

    onerror:
        link_current(PLAN, results)
