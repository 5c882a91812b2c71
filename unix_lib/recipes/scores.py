"""Plans what a model answers to benchmarks, and how its answers are scored.

`planned` is the plan of the experiment whose sources made the benchmarks: for the workflow the same plan.
"""

from dataclasses import dataclass, field, replace

from unix_lib.artefacts.names import checkpoint_name
from unix_lib.config.analyze import Inputs
from unix_lib.config.evaluate import EvaluateConfig, ScorerKind, ScoresSettings
from unix_lib.config.generate import GroupSettings, Worded, Wording
from unix_lib.config.jobs import Execution
from unix_lib.config.kinds import find_kind
from unix_lib.recipes.plan import Plan

BEHIND_ENDPOINT = "endpoint/"  # begins the kind of a job that asks an endpoint what a checkpoint would be asked


@dataclass(frozen=True)
class Subject:
    """Who answers: a checkpoint, or a model behind an endpoint."""

    run: str
    step: int  # -1 where nobody knows it
    checkpoint: str  # artefact
    image_tokenizer: str | None = None  # artefact, where the experiment has one
    wording: Wording = field(default_factory=Wording)
    asking: Execution | None = None  # how an endpoint is asked; None asks the checkpoint itself

    @property
    def name(self) -> str:
        """What artefacts made with it are called."""
        return checkpoint_name(self.run, self.step) if self.step >= 0 else self.run


def plan_answers(plan: Plan, config: EvaluateConfig, subject: Subject, name: str, planned: Plan) -> str:
    """The answers to one benchmark, by a job of their own."""
    benchmark, generate = config.benchmarks[name], plan.experiment.generate
    kind = find_kind("scorer", benchmark.scorer, ScorerKind)
    inputs: Inputs = {"checkpoint": subject.checkpoint}
    if kind.has_images and subject.asking is None:
        inputs["image_tokenizer"] = subject.image_tokenizer or planned.named("tokenizers", "image")
    inputs |= benchmark.inputs(planned)
    asked = benchmark.generation(kind.generate.settings, generate)
    if isinstance(asked, Worded) and subject.asking is None:  # a server puts prompts as its checkpoint wants them
        asked = asked.model_copy(update={"wording": subject.wording})
    job_of = benchmark.scorer if subject.asking is None else BEHIND_ENDPOINT + benchmark.scorer
    return plan.add("generate", f"{subject.name}-{name}", job_of, asked, inputs, subject.asking or generate)


def plan_group(plan: Plan, subject: Subject, group: str, members: list[str]) -> None:
    """One job that makes the answers to several benchmarks, with the checkpoint loaded once."""
    settings = GroupSettings(run=subject.run, step=subject.step, group=group)
    name = f"{subject.name}-group-{group}"
    together = plan.add("generate", name, "group", settings, {"answers": members}, plan.experiment.generate)
    for answers in members:
        plan.jobs[answers] = replace(plan.jobs[answers], made_by=together)


def plan_scores(  # noqa: PLR0917
    plan: Plan, config: EvaluateConfig, subject: Subject, group: str, answers: dict[str, str], planned: Plan
) -> str:
    """The scores of a group's answers, which are given by benchmark."""
    judges = config.all_judges()
    inputs: Inputs = {}
    scoring = {}
    for name, artefact in answers.items():
        benchmark = config.benchmarks[name]
        if "benchmark" in (own := benchmark.inputs(planned)):
            inputs[f"benchmark:{name}"] = own["benchmark"]
        inputs[f"answers:{name}"] = artefact
        kind = find_kind("scorer", benchmark.scorer, ScorerKind)
        scoring[name] = benchmark.scoring(kind.scoring, plan.experiment.generate, judges)
        if kind.judging is not None:
            inputs[f"judging:{name}"] = plan.add(
                "evaluate",
                f"{subject.name}-{name}-judging",
                f"judging/{benchmark.scorer}",
                scoring[name].narrowed(kind.judging.settings),
                benchmark.judging_inputs(planned) | {"answers": artefact},
                config.narrowed(kind.judging.execution, batch_size=plan.experiment.generate.batch_size),
            )
    settings = ScoresSettings(
        run=subject.run,
        step=subject.step,
        group=group,
        benchmarks=scoring,
        bootstrap_samples=config.bootstrap_samples,
    )
    return plan.add("evaluate", f"{subject.name}-{group}", "scores", settings, inputs, config)
