"""`describe`: per run, the table of layers and what the decoder costs, so that a comparison is visibly fair."""

from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.table import Table

from unix_lib.architectures.plans import architecture_label, layer_plan
from unix_lib.commands.plan import pair
from unix_lib.config import Experiment, load_experiment
from unix_lib.config.models import LayerPlan
from unix_lib.config.train import TrainConfig
from unix_lib.recipes.costs import run_costs


def run(path: Path, console: Console) -> int:
    """Print a table of layers per run, then one table of costs over all runs."""
    config = load_experiment(path)
    if config.train is None:
        console.print(f"{config.experiment} trains no model: there are no layers to show.", highlight=False)
        return 0
    _print_layers(config, config.train, console)
    _print_costs(config, config.train, console)
    return 0


def _print_layers(config: Experiment, train: TrainConfig, console: Console) -> None:
    for name, settings in train.runs.items():
        plans = layer_plan(settings.plan, config.shape_of(name).layers)
        label = architecture_label(settings.plan)
        table = Table(title=f"{name} ({label}), starts from {settings.start.kind}", title_justify="left")
        for heading in ("layers", "attention weights", "attention scope", "feed-forward"):
            table.add_column(heading)
        first = 0
        for plan, group in groupby(plans):
            count = len(list(group))
            layers = f"{first}" if count == 1 else f"{first}-{first + count - 1}"
            table.add_row(layers, plan.attention_weights, plan.attention_scope, _ffn_text(plan))
            first += count
        console.print(table)


def _print_costs(config: Experiment, train: TrainConfig, console: Console) -> None:
    costs_table = Table(title="Costs; where text and vision tokens differ: text / vision", title_justify="left")
    headings = (
        "run",
        "parameters",
        "active per token",
        "training GFLOP per token",
        "activations, kB per token",
        "cache bytes per token (bf16)",
        "weights and AdamW state, GB",
    )
    for heading in headings:
        costs_table.add_column(heading, justify="left" if heading == "run" else "right")
    for name in train.runs:
        costs = run_costs(config, name)
        text, vision = costs.text, costs.vision
        # 16 bytes a parameter: float32 weight, gradient and two moments.
        row = (
            f"{costs.parameters_total:,}",
            pair(f"{text.parameters:,}", f"{vision.parameters:,}"),
            pair(f"{text.training_flops / 1e9:.4g}", f"{vision.training_flops / 1e9:.4g}"),
            pair(f"{text.activation_bytes / 1e3:,.4g}", f"{vision.activation_bytes / 1e3:,.4g}"),
            pair(f"{2 * costs.cache_values_own:,}", f"{2 * costs.cache_values_other:,}"),
            f"{16 * costs.parameters_total / 1e9:.3g}",
        )
        costs_table.add_row(name, *row)
    console.print(costs_table)
    kept = "each layer's input only" if train.gradient_checkpointing else "all that the backward pass needs"
    console.print(
        f"Activations: {kept}, in {train.precision}, without padding. Cache: per token of the modality that is "
        "being decoded / of the other one, which layers that see within a modality don't keep."
    )


def _ffn_text(plan: LayerPlan) -> str:
    if plan.ffn != "shared_plus_vision":
        return plan.ffn
    return f"{plan.ffn}, {plan.ffn_shared_width} shared + {plan.ffn_vision_width} vision"
