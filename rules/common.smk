# What every rule shares: the plan, and the paths, inputs and resources that follow from a recipe.
#
# The main process resolves the config into a plan. Snakemake starts itself again inside each SLURM job; there
# everything is read from the recipe files that the main process wrote, never from the config, so that editing the
# YAML during a run can't mix old and new values.

from snakemake.settings.enums import RerunTrigger

from unix_lib.config import ConfigError, load_experiment, parse_experiment
from unix_lib.recipes.external import FileHashes
from unix_lib.recipes.plan import STAGES, resolve
from unix_lib.recipes.workspace import (
    link_current,
    read_execution,
    read_planned,
    write_plan,
)

PYTHON = sys.executable
DEFAULT_CONFIG = ROOT / "config" / "laptop.yaml"
PLAN = None

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
    except ConfigError as error:
        raise WorkflowError(str(error)) from None


wildcard_constraints:
    experiment=r"[a-z0-9._-]+",
    name=r"[a-z0-9._-]+",
    digest=r"[0-9a-f]{12}",


def manifests(*stages):
    """Manifests of all planned artefacts of some stages; nothing inside a SLURM job, which has its own target."""
    return (
        [
            f"results/{PLAN.experiment}/{artefact}/manifest.json"
            for artefact in PLAN.of_stage(*stages)
        ]
        if PLAN
        else []
    )


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
    """Input function of a stage: the manifests that a recipe builds on, as `ancient`."""

    def manifests_of(wildcards):
        # Digests in the paths decide what runs. Snakemake's own triggers would run a job again because its list of
        # order-only predecessors changed (a checkpoint added before it) or because a rule's text did.
        workflow.dag_settings.rerun_triggers = frozenset({RerunTrigger.MTIME})
        base = Path("results") / wildcards.experiment
        key = f"{wildcards.name}-{wildcards.digest}"
        job = planned(stage, wildcards)
        recipe = job.recipe if job else read_planned(base, stage, key)
        # A finished checkpoint does not wait for one that was added before it.
        finished = (base / stage / key / "manifest.json").exists()
        predecessors = job.after if job and not finished else []
        return [
            ancient(f"{base}/{a}/manifest.json")
            for a in [*recipe.upstream, *predecessors]
        ]

    return manifests_of


def shape_of(stage, wildcards):
    """Threads, memory, GPUs, nodes and wall time of a job."""
    job = planned(stage, wildcards)
    if job:
        return job.execution["job"]
    return read_execution(Path(recipe_path(stage).format(**wildcards)))["job"]


def threads_of(stage):
    return lambda wildcards: shape_of(stage, wildcards)["threads"]


def memory_mb(stage):
    return lambda wildcards: shape_of(stage, wildcards)["memory_mb"]


def runtime_minutes(stage):
    return lambda wildcards: shape_of(stage, wildcards)["runtime_minutes"]


def gpus(stage):
    """GPUs of a job on one node. Several nodes ask through `gres`, since `--gpus` counts over all of them."""

    def of(wildcards):
        shape = shape_of(stage, wildcards)
        return shape["gpus"] if shape["nodes"] == 1 else 0

    return of


def command(script, launcher=""):
    """Command line of a script; the log holds everything it prints, the screen its progress."""
    return (
        f"{launcher}{PYTHON} scripts/{script}.py --recipe {{params.recipe}} --execution {{params.execution}} "
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
