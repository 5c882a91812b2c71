"""What the report says: figures, data, fitness of the measuring tools, final scores, provenance, as plain rows."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from unix_lib.artefacts.code import described
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.artefacts.recipe import Recipe
from unix_lib.config.figures import FigureKind, FigurePart
from unix_lib.config.kinds import find_kind, known_kinds
from unix_lib.figures.family_means import left_out_of_means
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.samples import blind_answers, final_samples
from unix_lib.figures.scores import final_scores, headline_scores, over_seeds
from unix_lib.figures.style import architecture_name, ordered_architectures, preset_of
from unix_lib.records.schema import Row

CLAIMS = "claims"  # the kind of figure that the page shows as a table, first
TEXT_COST = "text_cost"
MOST_ROWS = 60  # of a CSV shown on the page; longer ones are named with their number of rows


@dataclass(frozen=True)
class FigureOnPage:
    """One figure: its picture as base64 SVG and its observations."""

    name: str
    part: FigurePart
    title: str
    how_to_read: str
    svg: str
    rows: int
    columns: list[str]
    table: list[list[str]]  # empty where it is too long to show


def figures_on_page(inputs: Inputs) -> list[FigureOnPage]:
    """Figures in the order of the project's own kinds, those from outside last; the claims are a table of their own."""
    recipes = {artefact: inputs.recipe(artefact) for artefact in inputs.existing.get("figures", [])}
    places = {kind: place for place, kind in enumerate(known_kinds("figure"))}
    ordered = sorted(recipes, key=lambda artefact: places.get(recipes[artefact].kind, len(places)))
    return [_figure(recipes[a], inputs.results / a) for a in ordered if recipes[a].kind != CLAIMS]


def claims_rows(inputs: Inputs) -> list[Row]:
    """Rows of `claims.csv`, texts for missing values."""
    return _figure_rows(inputs, CLAIMS)


def costly_texts(inputs: Inputs) -> list[Row]:
    """Rows of `text_cost.csv` that warn of a script that is spelled out."""
    return [row for row in _figure_rows(inputs, TEXT_COST) if row["warning"]]


def _figure_rows(inputs: Inputs, kind: str) -> list[Row]:
    """The table of the first figure of a kind; none without one."""
    for artefact in inputs.existing.get("figures", []):
        if inputs.recipe(artefact).kind == kind:
            table = pd.read_csv(inputs.results / artefact / f"{kind}.csv", keep_default_na=False)
            rows: list[Row] = table.to_dict("records")
            return rows
    return []


def _figure(recipe: Recipe, folder: Path) -> FigureOnPage:
    kind, name = find_kind("figure", recipe.kind, FigureKind), recipe.name
    table = pd.read_csv(folder / f"{name}.csv", keep_default_na=False, dtype=str)
    shown = table if len(table) <= MOST_ROWS else table.iloc[:0]
    svg = base64.b64encode((folder / f"{name}.svg").read_bytes()).decode("ascii")
    title = kind.title or name.replace("_", " ").capitalize()
    columns = list(table.columns)
    return FigureOnPage(name, kind.part, title, kind.how_to_read, svg, len(table), columns, shown.values.tolist())


def data_rows(inputs: Inputs) -> list[Row]:
    """One row per source, tokenizer, encoded source and mixture: rows, rejected samples by reason, facts."""
    rows = []
    for artefact in inputs.existing.get("data", []):
        recipe, manifest = inputs.recipe(artefact), read_manifest(inputs.results / artefact)
        counts = {entry.path: entry.rows for entry in manifest.files if entry.rows is not None}
        rows.append(
            {
                "stage": recipe.stage,
                "name": recipe.name,
                "train": _rows_of(counts, ("train", "epoch")),
                "heldout": _rows_of(counts, ("heldout",)),
                "rejected": ", ".join(f"{number:,} {reason}" for reason, number in manifest.rejected.items()) or "none",
                "facts": ", ".join(_fact(name, value) for name, value in manifest.facts.items() if _is_plain(value)),
            }
        )
    return rows


def _rows_of(counts: dict[str, int], beginnings: tuple[str, ...]) -> int | None:
    """Rows of the files that begin so; None where the artefact has none of them."""
    found = [rows for path, rows in counts.items() if path.startswith(beginnings)]
    return sum(found) if found else None


def _is_plain(value: Any) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= 32)


def _fact(name: str, value: Any) -> str:
    if isinstance(value, float):
        value = f"{value:.4g}"
    elif isinstance(value, int) and not isinstance(value, bool):
        value = f"{value:,}"
    return f"{name.replace('_', ' ')} {value}"


def fitness_rows(inputs: Inputs) -> list[Row]:
    """Detector's accuracy and tokenizer's ceiling, with whether the detector is fit to judge."""
    rows = []
    for folder in inputs.folders("ceilings"):
        manifest, scores = read_manifest(folder), pd.read_parquet(folder / "scores.parquet")
        shown = scores[~scores.metric.str.endswith("_ceiling") | (scores.metric == "overall_ceiling")]
        shown = shown.assign(metric=shown.metric.str.replace("_", " "))[["metric", "value", "low", "high", "n"]]
        fit = manifest.facts.get("fit_to_judge")
        rows.append({"benchmark": scores.benchmark.iloc[0], "fit": fit, "scores": shown.to_dict("records")})
    return rows


def blind_rows(inputs: Inputs) -> list[Row]:
    """Final answers that are no sign of knowledge: one and the same to everything, or unreadable."""
    blind = blind_answers(final_samples(inputs))
    blind = blind[(blind.unreadable > 0) | (blind.only_answer != "")]
    rows: list[Row] = blind.assign(architecture=blind.architecture.map(architecture_name)).to_dict("records")
    return rows


def left_out_rows(inputs: Inputs) -> list[Row]:
    """Benchmarks that stay out of the means, and the scores that are the reason."""
    rows: list[Row] = left_out_of_means(inputs).to_dict("records")
    return rows


def final_score_metrics(inputs: Inputs) -> dict[str, float]:
    """`<benchmark>/<architecture>` and `.../standard_error` of the last checkpoints, for `metrics.json`."""
    headline = headline_scores(inputs)
    if headline.empty:
        return {}
    table = over_seeds(final_scores(headline), ["benchmark", "architecture"]).set_index(["benchmark", "architecture"])
    metrics = {}
    for benchmark in sorted(headline.benchmark.unique()):
        for architecture in ordered_architectures(headline.architecture):
            if (benchmark, architecture) in table.index:
                row = table.loc[(benchmark, architecture)]
                name = f"{benchmark}/{architecture.replace(' ', '-').replace('/', '-of-')}"
                metrics[name] = round(float(row.value), 6)
                if pd.notna(row.standard_error):
                    metrics[f"{name}/standard_error"] = round(float(row.standard_error), 6)
    return metrics


# What the page says of an architecture beside Uni-X, by preset.
RIVALS = {
    "shared": "a fully shared transformer",
    "mot": "MoT with separate weights in every layer",
    "moe": "MoE with a separate feed-forward layer for images in some layers",
    "custom": "a layer plan of one's own",
}


def rivals(inputs: Inputs) -> list[str]:
    """The architectures beside Uni-X that were evaluated, in words."""
    scores = headline_scores(inputs)
    presets = [preset_of(name) for name in ordered_architectures(scores.architecture)] if len(scores) else []
    return [RIVALS[preset] for preset in dict.fromkeys(presets) if preset in RIVALS]


def run_rows(inputs: Inputs) -> list[Row]:
    """One row per run: architecture, seed, tokens, parameters."""
    runs = [read_manifest(folder).facts for folder in inputs.folders("checkpoints")]
    return [facts | {"architecture_name": architecture_name(facts["architecture"])} for facts in runs]


def provenance_rows(inputs: Inputs) -> dict[str, Any]:
    """Commits, versions, hosts and wall times by stage, from all manifests the report builds on."""
    every = dict.fromkeys(artefact for artefacts in inputs.existing.values() for artefact in artefacts)
    made = [(artefact.split("/")[0], read_manifest(inputs.results / artefact).provenance) for artefact in every]
    stages = pd.DataFrame(
        [{"stage": stage, "jobs": 1, "seconds": each.get("wall_seconds") or 0.0} for stage, each in made]
    )
    newest = max((each for _, each in made), key=lambda each: each["finished"])
    return {
        "codes": sorted({described(each["code"]) for _, each in made} - {""}),
        "packages": newest["packages"],
        "hosts": sorted({each["host"] for _, each in made}),
        "finished": newest["finished"],
        "stages": stages.groupby("stage", sort=False).sum().reset_index().to_dict("records"),
    }
