"""What a plan has for each part of each claim: seeds, samples, and the jobs that more of either would repeat."""

from collections.abc import Iterator
from dataclasses import dataclass

from unix_lib.analyze.conflict_kind import ConflictSettings
from unix_lib.analyze.entropy_kind import EntropySettings
from unix_lib.analyze.heldout_loss_kind import HeldoutLossSettings
from unix_lib.architectures.plans import architecture_label
from unix_lib.config.evaluate import ScoresSettings
from unix_lib.config.strict import StrictModel
from unix_lib.figures.analysis_claims import ENTROPY_ORDERS
from unix_lib.figures.architecture_claims import pair_name
from unix_lib.figures.doses import CONFLICT_SLOPES, LOSS_SLOPE, SCORE_SLOPE
from unix_lib.figures.loss_differences import MODALITIES
from unix_lib.figures.published import TEXT_BENCHMARKS
from unix_lib.figures.style import PAPER_SPLIT, architecture_name, compared_unix, preset_of
from unix_lib.power.variances import CONFLICT, LOSS, SLOPE
from unix_lib.recipes.known_jobs import PlannedJobs
from unix_lib.recipes.of_runs import OF_RUNS, jobs_of_run
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.work import things_of


@dataclass(frozen=True)
class Design:
    """What is planned for a part of an outcome.

    Attributes:
        outcome: as a `Variance` has it.
        arm: mixture that the compared runs are trained on; empty where they share one.
        seeds: that all sides have; None where no training is involved.
        samples: planned; None takes those that were measured.
        sampled: what they are called.
        of_seeds: jobs that one more seed repeats, over all planned seeds.
        of_samples: jobs that take longer with more samples.
        doses: of a slope, how many arms it is over.
    """

    outcome: str
    arm: str
    part: str
    seeds: int | None
    samples: int | None
    sampled: str
    of_seeds: tuple[str, ...]
    of_samples: tuple[str, ...]
    doses: int = 0

    @property
    def two_seeds(self) -> int | None:
        """The planned seeds, two at least: fewer decide nothing."""
        return None if self.seeds is None else max(2, self.seeds)


@dataclass(frozen=True)
class _Arm:
    """Runs of a mixture by architecture and seed."""

    plan: Plan
    name: str
    runs: dict[str, dict[int, str]]

    def common(self, kind: type[StrictModel] | None, *names: str) -> tuple[int, list[str], list[str]]:
        """Seeds that all have, their jobs, and those among them with such settings (None: of answers and scores)."""
        seeds = set.intersection(*(set(self.runs[name]) for name in names))
        runs = [self.runs[name][seed] for name in names for seed in seeds]
        jobs = [artefact for run in runs for artefact in jobs_of_run(self.plan, run, *OF_RUNS)]
        if kind is None:
            return len(seeds), jobs, [a for a in jobs if a.partition("/")[0] in ("generate", "evaluate")]
        return len(seeds), jobs, [a for a in jobs if isinstance(self.plan.jobs[a].settings, kind)]

    def where(self, kind: type[StrictModel]) -> "_Arm":
        """Of the runs those that an analysis measures."""
        analysed = {
            job.settings.run  # type: ignore[attr-defined]
            for job in self.plan.jobs.values()
            if isinstance(job.settings, kind) and job.recipe.stage == "analyze"
        }
        kept = {name: {s: run for s, run in runs.items() if run in analysed} for name, runs in self.runs.items()}
        return _Arm(self.plan, self.name, {name: runs for name, runs in kept.items() if runs})


def designs_of(plan: Plan) -> list[Design]:
    """Every part that the plan will be able to say anything of, by outcome."""
    arms = _arms(plan)
    found = [design for arm in arms for each in (_conflict, _scores, _throughput, _losses) for design in each(arm)]
    return sorted(
        [*_entropy(plan, arms), *found, *_published(plan), *_slopes(found)], key=lambda design: design.outcome
    )


def _arms(plan: Plan) -> list[_Arm]:
    by_mixture: dict[str, dict[str, dict[int, str]]] = {}
    for name in plan.compared_runs():
        run = plan.experiment.runs[name]
        architectures = by_mixture.setdefault(run.mixture, {})
        architectures.setdefault(architecture_label(run.plan), {})[run.seed] = name
    several = len(by_mixture) > 1
    return [_Arm(plan, mixture if several else "", runs) for mixture, runs in by_mixture.items()]


def _entropy(plan: Plan, arms: list[_Arm]) -> Iterator[Design]:
    for artefact in plan.of_stage("analyze"):
        job = plan.jobs[artefact]
        if not isinstance(job.settings, EntropySettings):
            continue
        sources = [role.partition(":")[2] for role in job.recipe.inputs if role.startswith("codes:")]
        trained = {
            arm.name: {part.source for part in plan.experiment.mixtures[arm.name].parts} for arm in arms if arm.name
        }
        for order in ENTROPY_ORDERS:
            for source in sources:
                arm = next((name for name, of_arm in trained.items() if source in of_arm), "")
                part = f"n = {order}, {source}"
                yield Design("1", arm, part, None, job.settings.budget, "tokens", (), (artefact,))


def _conflict(arm: _Arm) -> Iterator[Design]:
    arm = arm.where(ConflictSettings)
    shared = next((name for name in arm.runs if preset_of(name) == "shared"), None)
    unix = compared_unix(list(arm.runs))
    if shared is None:
        return
    for outcome, parts, names in (
        ("2", ["shallow minus middle", "deep minus middle"], [shared]),
        ("3", [""], [shared, unix] if unix else []),
    ):
        if names:
            seeds, jobs, measured = arm.common(ConflictSettings, *names)
            documents = min((arm.plan.jobs[a].settings.documents for a in measured), default=None)  # type: ignore[attr-defined]
            for part in parts:
                yield Design(
                    outcome, arm.name, part, seeds, documents, "documents per modality", tuple(jobs), tuple(measured)
                )


def _scores(arm: _Arm) -> Iterator[Design]:
    if not arm.plan.of_kind("evaluate", "scores"):
        return
    unix = compared_unix(list(arm.runs))
    splits = [name for name in arm.runs if preset_of(name) == "unix"]
    for outcome, chosen, others in (
        ("4", unix, [name for name in arm.runs if preset_of(name) != "unix"]),
        ("6", PAPER_SPLIT if PAPER_SPLIT in splits else None, [name for name in splits if name != PAPER_SPLIT]),
    ):
        for other in others if chosen else ():
            assert chosen is not None
            seeds, jobs, answering = arm.common(None, chosen, other)
            part = pair_name(chosen, other) if outcome == "4" else f"against {architecture_name(other)}"
            asked = _questions(arm.plan, jobs)
            yield Design(outcome, arm.name, part, seeds, asked, "prompts and questions", tuple(jobs), tuple(answering))


def _questions(plan: Plan, jobs: list[str]) -> int | None:
    """Of one checkpoint; None where none is scored."""
    asked: dict[tuple[str, int], float] = {}
    for artefact in jobs:
        settings = plan.jobs[artefact].settings
        if isinstance(settings, ScoresSettings):
            checkpoint = (settings.run, settings.step)
            asked[checkpoint] = asked.get(checkpoint, 0) + things_of(artefact, PlannedJobs(plan))
    return int(max(asked.values())) if asked else None


def _throughput(arm: _Arm) -> Iterator[Design]:
    assert arm.plan.experiment.train is not None
    unix = compared_unix(list(arm.runs))
    if unix is None or not arm.plan.experiment.train.job.gpus:
        return
    for other in arm.runs:
        if preset_of(other) not in ("unix", "shared"):
            seeds, jobs, _ = arm.common(None, unix, other)
            yield Design("5", arm.name, pair_name(unix, other), seeds, None, "training steps", tuple(jobs), ())


def _losses(arm: _Arm) -> Iterator[Design]:
    arm = arm.where(HeldoutLossSettings)
    if not arm.plan.of_kind("analyze", "document_losses"):
        return
    unix = compared_unix(list(arm.runs))
    for other in arm.runs:
        if unix and preset_of(other) != "unix":
            seeds, jobs, measured = arm.common(HeldoutLossSettings, unix, other)
            for modality in MODALITIES:
                yield Design(
                    f"{LOSS}{modality}", arm.name, pair_name(unix, other), seeds, None, "documents", tuple(jobs),
                    tuple(measured),
                )  # fmt: skip


def _slopes(designs: list[Design]) -> Iterator[Design]:
    """Slopes over the doses of several arms, of what is planned of Uni-X and the shared transformer in each."""
    shared = architecture_name("shared")
    slope_of = {"4": SCORE_SLOPE} | {f"{LOSS}{modality}": f"{LOSS_SLOPE}{modality}" for modality in MODALITIES}
    slope_of |= {"2": CONFLICT_SLOPES["shared"], "3": CONFLICT_SLOPES["unix"]}
    for outcome, slope in slope_of.items():
        of_arms = {
            each.arm: each
            for each in designs
            if each.outcome == outcome and each.arm and (outcome in CONFLICT or each.part.endswith(f"against {shared}"))
        }
        if len(of_arms) > 1:
            seeds = min(each.seeds or 0 for each in of_arms.values())
            one = next(iter(of_arms.values()))
            of_seeds, of_samples = (
                tuple(dict.fromkeys(job for each in of_arms.values() for job in getattr(each, name)))
                for name in ("of_seeds", "of_samples")
            )
            yield Design(f"{SLOPE}{slope}", "", "", seeds, one.samples, one.sampled, of_seeds, of_samples, len(of_arms))


def _published(plan: Plan) -> Iterator[Design]:
    """Claim 7, on benchmarks that the experiment doesn't make itself."""
    if not any(preset_of(architecture_label(plan.experiment.runs[run].plan)) == "unix" for run in plan.compared_runs()):
        return
    brought = {name for name, benchmark in plan.experiment.benchmarks.items() if benchmark.source is None}
    for part, names in (("mean of Table 1", set(TEXT_BENCHMARKS)), ("GenEval", {"geneval"})):
        if names <= brought:
            yield Design("7", "", part, None, None, "prompts", (), ())
