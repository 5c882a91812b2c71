"""Plans the report, which reads nearly everything."""

from unix_lib.config.analyze import Inputs
from unix_lib.config.report import ReportSettings
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.scale import scale_of, title_of

RESULTS = ("evaluations", "ceilings", "checkpoints", "reconstructions")  # roles of figures that the page reads itself


def plan_report(plan: Plan, roles: dict[str, list[str]]) -> None:
    """Plan the page where the config asks for one; `roles` are what figures may read."""
    config = plan.experiment.report
    if config is None:
        return
    inputs: Inputs = {
        "figures": plan.of_stage("figures"),
        "data": plan.of_stage("sources", "translate", "tokenizers", "encode", "tokenize", "pack"),
    }
    inputs |= {role: artefacts for role in RESULTS if (artefacts := roles.get(role))} | _data(plan)
    settings = ReportSettings(title=title_of(plan.experiment), scale=scale_of(plan.experiment))
    plan.add("report", "summary", "page", settings, inputs, plan.experiment.figures)


def _data(plan: Plan) -> Inputs:
    """What the page shows of the data, by source and mixture."""
    found: Inputs = {}
    for name in plan.experiment.with_records:
        for role, artefacts in (("records", plan.records), ("images", plan.images), ("codes", plan.codes)):
            found[f"{role}:{name}"] = artefacts(name)
    found |= {f"pack:{mixture}": plan.pack(mixture) for mixture in plan.experiment.mixtures}
    tokenizers = {plan.jobs[artefact].recipe.name: artefact for artefact in plan.of_stage("tokenizers")}
    named = (("text_tokenizer", "text"), ("image_tokenizer", "image"), ("vocabulary", "vocabulary"))
    found |= {role: tokenizers[name] for role, name in named if name in tokenizers}
    return {role: artefacts for role, artefacts in found.items() if artefacts}
