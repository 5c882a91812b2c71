"""`power`: which difference planned seeds, prompts and documents could decide, and what would decide a given one."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from unix_lib.artefacts.errors import UserError
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.commands.marks import marked
from unix_lib.figures.style import save
from unix_lib.power.curves import curve_table, draw_curves
from unix_lib.power.finished import Finished
from unix_lib.power.forecast import Addition, PartForecast, forecast
from unix_lib.power.variances import unit_of
from unix_lib.recipes.estimate import Estimates
from unix_lib.recipes.scale import scale_of

NAME, FOLDER = "power", "preview"  # of the curves, beside other pictures that nothing reads
HEADINGS = ("claim", "part", "planned", "could decide", "to decide", "would take", "note")
SHORT_HEADINGS = ("claim", "parts", "planned", "smallest difference")


class PowerError(UserError):
    """A difference that was asked for can't be read, or nothing is planned that it belongs to."""


def run(path: Path, decide: list[str], console: Console) -> int:
    """Print what a config could decide and write its curves; `decide` are `<claim>=<difference>`.

    Raises:
        PowerError: one of them is none.
    """
    wanted = dict(_wanted(each) for each in decide)
    experiment = PlannedExperiment.load(path)
    finished = Finished.beside(experiment.results)
    parts = forecast(experiment.plan, finished, Estimates(experiment.plan, experiment.results))
    unknown = sorted(set(wanted) - {part.design.outcome for part in parts})
    if unknown:
        raise PowerError(f"--decide {', '.join(unknown)}: {path} plans nothing that says anything of it")
    for line in finished.skipped:
        console.print(marked("skipped", "yellow", line), soft_wrap=True, highlight=False)
    if not parts:
        console.print(f"{path} plans nothing that a claim is decided by.", highlight=False)
        return 1
    title = f"What {experiment.config.experiment} could decide: 95% interval, power 80%"
    table, notes = Table(*HEADINGS, title=title, title_justify="left"), dict[str, int]()
    for part in parts:
        note = notes.setdefault(_note(part), len(notes) + 1)
        table.add_row(*_cells(part, wanted.get(part.design.outcome)), str(note))
    console.print(table)
    told = [f"{number}: {note}." for note, number in notes.items()]
    for line in (*told, "A verdict on claim 1 also needs 80% of the n-grams seen, on 2 and 3 reliable gradients."):
        console.print(line, soft_wrap=True, highlight=False)
    folder = experiment.results / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    save(draw_curves(curve_table(parts)), folder, NAME, scale_of(experiment.config), [])
    console.print(f"Curves: {folder}/{NAME}.svg (and .png, .pdf, .csv)", highlight=False)
    return 0


def short_table(experiment: PlannedExperiment, estimates: Estimates) -> Table | None:
    """A row per outcome, for `plan`; None where nothing is planned that a claim is decided by."""
    parts = forecast(experiment.plan, Finished.beside(experiment.results), estimates)
    title = "What it could decide: 95% interval, power 80% (unix-lib power says why)"
    table = Table(*SHORT_HEADINGS, title=title, title_justify="left")
    for outcome in dict.fromkeys(part.design.outcome for part in parts):
        own = [part for part in parts if part.design.outcome == outcome]
        known = sorted(part.planned.least for part in own if part.planned is not None and part.design.seeds != 1)
        least = " to ".join(dict.fromkeys(f"{value:.2g}" for value in (known[:1] + known[-1:])))
        told = f"{least} {unit_of(outcome)}" if least else _decides(own[0])
        table.add_row(outcome, str(len(own)), _planned(own[0]), told)
    return table if parts else None


def _wanted(given: str) -> tuple[str, float]:
    outcome, _, difference = given.rpartition("=")
    try:
        if 0 < float(difference) < float("inf") and outcome:
            return outcome, float(difference)
    except ValueError:
        pass
    raise PowerError(f"--decide {given}: give <claim>=<difference above 0>, in the claim's own unit, such as 4=2.5")


def _cells(part: PartForecast, wanted: float | None) -> list[str]:
    design, unit = part.design, unit_of(part.design.outcome)
    about = [design.outcome, part.name, _planned(part), _decides(part)]
    if part.variance is None:
        return [*about, "", ""]
    target = part.default_target if wanted is None else wanted
    if part.decides(target):
        return [*about, f"{target:.2g} {unit}", "nothing more"]
    more = "seeds that all sides have" if design.seeds == 0 else "more than was looked at"
    found = [_told(part, each) for each in part.additions(target)] or [more]
    return [*about, f"{target:.2g} {unit}", "; or ".join(found)]


def _told(part: PartForecast, addition: Addition) -> str:
    more = f"{addition.seeds} seeds"
    if addition.samples > 1:
        more = f"{addition.samples:.2g} times the {part.design.sampled}"
    return f"{more} ({addition.cost} more)"


def _planned(part: PartForecast) -> str:
    design = part.design
    seeds = [f"{design.seeds} seed{'s' * (design.seeds != 1)}"] * (design.seeds is not None)
    return ", ".join([*seeds, *[f"{design.samples or 0:,} {design.sampled}"] * bool(design.samples)])


def _decides(part: PartForecast) -> str:
    if part.design.seeds in (0, 1):
        return "nothing: one seed" if part.design.seeds else "nothing: no seed that all sides have"
    return "not known" if part.planned is None else f"{part.planned.least:.2g} {unit_of(part.design.outcome)}"


def _note(part: PartForecast) -> str:
    """Where the variance comes from; else what is lacking and what would supply it."""
    if part.variance is not None:
        return f"variance of {part.variance.origin}" + ", with doses as far apart" * bool(part.design.doses)
    found = "; ".join(part.lacking) or "no finished experiment measured it"
    return f"variance not known: {found}. A finished experiment with two seeds of each architecture supplies it"
