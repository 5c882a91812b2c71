# What every rule shares: the plan, and the pattern of a job, whose paths, inputs and resources follow from its recipe.
#
# The main process resolves the config into a plan. Snakemake starts itself again inside each SLURM job; there
# everything is read from the recipe files that the main process wrote, never from the config, so that editing the
# YAML during a run can't mix old and new values.

import os
from dataclasses import replace

from snakemake.settings.enums import RerunTrigger

from unix_lib.artefacts.code import require_library
from unix_lib.config import ConfigError, load_experiment
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.hub import not_pinned
from unix_lib.recipes.plan import STAGES
from unix_lib.recipes.resolve import resolve
from unix_lib.recipes.sharing import share, shareable
from unix_lib.recipes.workspace import (
    link_current,
    read_planned,
    read_shape,
    unfinished,
    write_plan,
)

PYTHON = sys.executable
DEFAULT_CONFIG = ROOT / "config" / "laptop.yaml"
PLAN, UNFINISHED, SITE = None, set(), Site()


include: "bookkeeping.smk"


if workflow.is_main_process:
    with told_in_a_line(Path("results")):
        require_library(ROOT)
        SITE = read_site()
        # From the files, as every command reads them: Snakemake's `config` does not say in which folder `extends`
        # is looked for.
        overrides = dict(workflow.config_settings.config)  # of --config
        paths = workflow.configfiles or [DEFAULT_CONFIG]
        experiment = load_experiment(*paths, overrides=overrides)
        results = Path("results") / experiment.experiment
        if fault := not_pinned(experiment, os.path.relpath(paths[-1])):
            raise ConfigError(f"{experiment.experiment}: {fault}")
        PLAN = resolve(experiment, Path.cwd(), FileHashes.of_plan(results))
        marked_before = marked(results)
        UNFINISHED = set(unfinished(PLAN, results))
        mark_finished(PLAN.jobs, UNFINISHED, marked_before, results)


class DigestsDecide(type(workflow)):
    """Manifests under the digests of recipes decide what runs: of Snakemake's own triggers none that knows more is left.

    They would run a job again because its list of order-only predecessors changed (a checkpoint added before it) or
    because a rule's text did. Before it locks anything, a run that is no dry run becomes the only one.
    """

    def _build_dag(self):
        runs = PLAN and self.executor_plugin and not self.dryrun
        on_slurm = runs and self.executor_plugin.name == "slurm"
        if runs:
            with told_in_a_line(results):
                self.driver = become_the_driver(results)
                if share(PLAN, results):
                    UNFINISHED.intersection_update(unfinished(PLAN, results))
                    mark_finished(PLAN.jobs, UNFINISHED, marked(results), results)
        elif PLAN and (found := shareable(PLAN, results)):
            logger.info(f"{len(found)} artefacts are in stores, and would be linked.")
        if on_slurm:
            go_to_slurm(self, SITE, PLAN, results)
        super()._build_dag()
        if runs:
            refused = refused_by_cluster if on_slurm else refused_by_hosts
            if fault := refused(SITE, due(self.dag)):
                raise WorkflowError(f"nothing was started: {fault}")

    @property
    def dag_settings(self):
        return self.__dict__.get("dag_settings")

    @dag_settings.setter
    def dag_settings(self, settings):
        self.__dict__["dag_settings"] = replace(
            settings, rerun_triggers=frozenset({RerunTrigger.MTIME})
        )


workflow.__class__ = DigestsDecide


resource_scopes:
    slot="local",


wildcard_constraints:
    experiment=r"[a-z0-9._-]+",
    name=r"[a-z0-9._-]+",
    digest=r"[0-9a-f]{12}",


def made(*stages):
    """Marks of all planned artefacts of some stages; nothing inside a SLURM job, which has its own target."""
    return [mark_of(results, name) for name in PLAN.targets(*stages)] if PLAN else []


def made_up_to(artefacts):
    """Marks of some artefacts and of all that they build on."""
    return [mark_of(results, name) for name in PLAN.upstream(artefacts)]


def single_targets():
    """Artefacts by the name of a target of their own: `figure_<name>`, `analysis_<name>`, `run_<name>`, `translation_<name>`."""
    own = {
        "figures": "figure",
        "analyze": "analysis",
        "train": "run",
        "translate": "translation",
    }
    return {
        f"{what}_{name}": artefacts
        for stage, what in own.items()
        for name, artefacts in (PLAN.parts(stage).items() if PLAN else ())
    }


def key_of(wildcards):
    return f"{wildcards.stage}/{wildcards.name}-{wildcards.digest}"


def planned(wildcards):
    """The planned job behind a rule's wildcards; None inside a SLURM job or for an older recipe on disk."""
    return PLAN.jobs.get(key_of(wildcards)) if PLAN else None


def upstream(wildcards):
    """The marks of what a job waits for, as `ancient`.

    A finished job lists none: nothing that happens before it is a reason to make it again. Nor does one inside a SLURM
    job, where all is made, if not to be seen yet on every host.
    """
    base, key = Path("results") / wildcards.experiment, key_of(wildcards)
    if planned(wildcards) is None:
        needed = read_planned(base, *key.split("/")).upstream
        wait_until_seen(
            base / artefact / "manifest.json"
            for artefact in needed
            if not artefact.startswith(f"{wildcards.stage}/")
        )
        age_all(base)
        return []
    needed = PLAN.waits_for(key) if key in UNFINISHED else []
    return [ancient(mark_of(results, artefact)) for artefact in needed]


def shape_of(wildcards):
    """Threads, memory, GPUs, nodes and wall time of a job."""
    job = planned(wildcards)
    return job.execution.job if job else read_shape(Path(RECIPE.format(**wildcards)))


def gpus(wildcards):
    """GPUs of a job on one node. Several nodes ask through `gres`, since `--gpus` counts over all of them."""
    shape = shape_of(wildcards)
    return shape.gpus if shape.nodes == 1 else 0


RECIPE = "results/{experiment}/recipes/{stage}/{name}-{digest}.json"


# The pattern of all jobs. Each stage's rule is a copy of it with the stage filled in; this one itself makes nothing.
rule job:
    input:
        upstream,
    output:
        touch("results/{experiment}/made/{stage}/{name}-{digest}"),
    log:
        "results/{experiment}/logs/{stage}/{name}-{digest}.log",
    benchmark:
        "results/{experiment}/benchmarks/{stage}/{name}-{digest}.tsv"
    wildcard_constraints:
        stage="none",
    group:
        batch_of
    threads: lambda wildcards: shape_of(wildcards).threads
    resources:
        **site_resources(SITE),
        mem_mb=lambda wildcards: shape_of(wildcards).memory_mb,
        runtime=lambda wildcards: shape_of(wildcards).runtime_minutes,
        gpu=gpus,
        slot=1,
    params:
        recipe=RECIPE,
        execution=RECIPE.replace(".json", ".execution.json"),
        manifest="results/{experiment}/{stage}/{name}-{digest}/manifest.json",
        launcher="",
    shell:
        # The log holds everything that a script prints, the screen its progress.
        "{params.launcher}{PYTHON:q} -P scripts/{wildcards.stage}.py --recipe {params.recipe} "
        "--execution {params.execution} --output {params.manifest} --log {log}"


if PLAN:

    onstart:
        for notice in PLAN.notices:
            logger.info(notice)
        with told_in_a_line(results):
            write_plan(PLAN, results)
            link_current(PLAN, results)

    onsuccess:
        link_current(PLAN, results)

    onerror:
        link_current(PLAN, results)
