"""What the report says beside its figures: data, fitness of the measuring tools, final scores, provenance.

What flows in: artefact folders of a finished experiment. What flows out: plain rows of text and numbers for the
page, and the flat dictionary of `metrics.json`.
"""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from unix_lib.artefacts.manifest import Manifest, read_manifest
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.scores import final_scores, headline_scores, over_seeds
from unix_lib.figures.style import architecture_name, ordered_architectures, preset_of

MOST_ROWS = 60  # of a CSV shown on the page; longer ones are named with their number of rows


@dataclass(frozen=True)
class FigureOnPage:
    """One figure: its picture as base64 PNG and its observations."""

    name: str
    title: str
    how_to_read: str
    png: str
    rows: int
    columns: list[str]
    table: list[list[str]]  # empty where it is too long to show


# How to read each figure, in the order of the page.
CAPTIONS: dict[str, tuple[str, str]] = {
    "generated_samples": (
        "What the models draw",
        "Each row is a checkpoint, each column a description that no model saw in training. A green frame means that "
        "an automatic detector found what the description asks for.",
    ),
    "scores_over_tokens": (
        "Scores during training",
        "Higher is better; bars are 95% intervals. A line must rise above the dotted level, a blind guesser, and the "
        "dashed one, the same images held against other descriptions (a mean of the tasks that have several), to show "
        "that anything was learned.",
    ),
    "table3_architectures": (
        "The architectures compared",
        "The paper's question: which architecture makes most of the same data? Upper rows are published, lower rows "
        "measured here, on the families of benchmarks that this experiment has: only rows of one block compare.",
    ),
    "gradient_conflict": (
        "Where text and images disagree",
        "The higher the curve, the more text and images pull the same weights in different directions, but also the "
        "less noisy the gradients are: the noise-corrected values tell the two apart. Bands are one standard "
        "deviation over random splits of the documents, checkpoints and seeds. The paper expects a U over depth, and "
        "for Uni-X lower values in the layers it shares.",
    ),
    "conditional_entropy": (
        "How predictable text and image tokens are",
        "How many bits of surprise remain about the next token once the tokens before it are known. The paper finds "
        "image tokens harder to predict than text; hollow points rest on a sample too small to tell.",
    ),
    "loss_curves": (
        "Losses during training",
        "Lower is better. Lines follow training, markers data held back from it; a gap between them would mean "
        "learning by heart.",
    ),
    "table1_text": (
        "Text benchmarks",
        "Published models in the first block, this experiment's below. Scores on questions that an experiment made "
        "itself stand in a block of their own and compare with each other only.",
    ),
    "table2_multimodal": (
        "Image generation and understanding",
        "Published models in the first block, this experiment's below. Scores on questions and prompts that an "
        "experiment made itself stand in a block of their own and compare with each other only.",
    ),
    "table4_splits": (
        "Where to cut Uni-X",
        "How many shallow and deep layers each modality gets for itself; needs several splits to say anything.",
    ),
}


def figures_on_page(inputs: Inputs) -> list[FigureOnPage]:
    """Figures in the page's order; the claims table, which stands first on the page, is not among them."""
    folders = {inputs.recipe(artefact).name: inputs.results / artefact for artefact in inputs.existing["figures"]}
    order = [name for name in CAPTIONS if name in folders] + sorted(set(folders) - set(CAPTIONS) - {"claims"})
    return [_figure(name, folders[name]) for name in order]


def claims_rows(inputs: Inputs) -> list[dict[str, Any]]:
    """Rows of `claims.csv`, texts for missing values."""
    for artefact in inputs.existing["figures"]:
        if inputs.recipe(artefact).name == "claims":
            table = pd.read_csv(inputs.results / artefact / "claims.csv", keep_default_na=False)
            return table.to_dict("records")
    return []


def _figure(name: str, folder: Path) -> FigureOnPage:
    title, how_to_read = CAPTIONS.get(name, (name.replace("_", " ").capitalize(), ""))
    table = pd.read_csv(folder / f"{name}.csv", keep_default_na=False, dtype=str)
    shown = table if len(table) <= MOST_ROWS else table.iloc[:0]
    png = base64.b64encode((folder / f"{name}.png").read_bytes()).decode("ascii")
    return FigureOnPage(name, title, how_to_read, png, len(table), list(table.columns), shown.values.tolist())


def data_rows(inputs: Inputs) -> list[dict[str, Any]]:
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


def fitness_rows(inputs: Inputs) -> list[dict[str, Any]]:
    """Detector's accuracy and tokenizer's ceiling, with whether the detector is fit to judge."""
    rows = []
    for artefact in inputs.existing.get("ceilings", []):
        manifest = read_manifest(inputs.results / artefact)
        scores = pd.read_parquet(inputs.results / artefact / "scores.parquet")
        shown = scores[~scores.metric.str.endswith("_ceiling") | (scores.metric == "overall_ceiling")]
        rows.append(
            {
                "benchmark": inputs.recipe(artefact).settings["benchmark"],
                "fit": manifest.facts.get("fit_to_judge"),
                "scores": [
                    {
                        "metric": row.metric.replace("_", " "),
                        "value": row.value,
                        "low": row.low,
                        "high": row.high,
                        "n": row.n,
                    }
                    for row in shown.itertuples()
                ],
            }
        )
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


def run_rows(inputs: Inputs) -> list[dict[str, Any]]:
    """One row per run: architecture, seed, tokens, parameters."""
    rows = []
    for folder in inputs.folders("checkpoints"):
        facts = read_manifest(folder).facts
        rows.append(facts | {"architecture_name": architecture_name(facts["architecture"])})
    return rows


def provenance_rows(inputs: Inputs) -> dict[str, Any]:
    """Commits, versions, hosts and wall times by stage, from all manifests the report builds on."""
    manifests: list[tuple[str, Manifest]] = []
    for artefacts in inputs.existing.values():
        for artefact in artefacts:
            manifests.append((artefact.split("/")[0], read_manifest(inputs.results / artefact)))
    stages = pd.DataFrame(
        [
            {"stage": stage, "jobs": 1, "seconds": manifest.provenance.get("wall_seconds") or 0.0}
            for stage, manifest in manifests
        ]
    )
    codes = [manifest.provenance["code"] for _, manifest in manifests]
    newest = max((manifest.provenance for _, manifest in manifests), key=lambda provenance: provenance["finished"])
    return {
        "commits": sorted({code["commit"] + (" (changed)" if code["dirty"] else "") for code in codes if code}),
        "packages": newest["packages"],
        "hosts": sorted({manifest.provenance["host"] for _, manifest in manifests}),
        "finished": newest["finished"],
        "stages": stages.groupby("stage", sort=False).sum().reset_index().to_dict("records"),
    }
