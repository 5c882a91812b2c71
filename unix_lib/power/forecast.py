"""What a plan could decide, part by part, and what would have to be added to decide less."""

import math
from dataclasses import dataclass
from functools import cached_property

from unix_lib.power.chances import Chances, chances
from unix_lib.power.designs import Design, designs_of
from unix_lib.power.finished import Finished
from unix_lib.power.variances import Variance
from unix_lib.recipes.estimate import Estimates
from unix_lib.recipes.plan import Plan

MOST_SEEDS = 32  # that are looked at
MORE_SAMPLES = [2 ** (halves / 2) for halves in range(1, 13)]  # times those planned


@dataclass(frozen=True)
class Cost:
    """What jobs would take."""

    hours: float
    gpu_hours: float
    measured: bool  # by jobs of their kinds

    def times(self, factor: float) -> "Cost":
        return Cost(factor * self.hours, factor * self.gpu_hours, self.measured)

    def __str__(self) -> str:
        told = f"{self.gpu_hours:,.2g} GPU hours" if self.gpu_hours else f"{self.hours:,.2g} h of job time"
        return told if self.measured else f"about {told}, not measured"


@dataclass(frozen=True)
class Addition:
    """What would have to be added to decide a difference."""

    seeds: int  # in all
    samples: float  # times those planned
    cost: Cost


@dataclass(frozen=True)
class PartForecast:
    """A planned part with the variance that it is reckoned from."""

    design: Design
    variance: Variance | None
    lacking: list[str]  # without a variance: what the finished experiments lack
    seed_cost: Cost  # of one more
    sample_cost: Cost  # of as many samples again

    @property
    def name(self) -> str:
        """The part with its arm, as claims have it."""
        return ", ".join(filter(None, [self.design.arm, self.design.part]))

    def at(self, seeds: int | None, times: float = 1.0) -> Chances | None:
        """With so many seeds, and times the planned samples; None without a variance, and of less than two seeds."""
        if self.variance is None or (seeds is not None and seeds < 2):
            return None
        planned = self.variance.n if self.design.samples is None else self.design.samples
        return chances(self.variance.known, seeds or 0, times * planned / self.variance.n)

    @cached_property
    def planned(self) -> Chances | None:
        return self.at(self.design.seeds)

    @property
    def default_target(self) -> float:
        """Half of what the plan decides, with two seeds at least; NaN without a variance."""
        found = self.at(self.design.two_seeds)
        return math.nan if found is None else found.least / 2

    def decides(self, difference: float, seeds: int | None = None, times: float = 1.0) -> bool:
        """Whether so large a difference is decided with a power of 80%, as planned or with more."""
        found = self.at(self.design.seeds if seeds is None else seeds, times)
        return found is not None and found.least <= difference

    def additions(self, difference: float) -> list[Addition]:
        """The least seeds alone, and the least samples alone, that decide so large a difference; none where none do."""
        found = []
        if self.design.seeds:
            most = range(max(2, self.design.seeds), MOST_SEEDS + 1)
            seeds = next((seeds for seeds in most if self.decides(difference, seeds)), None)
            if seeds is not None:
                found.append(Addition(seeds, 1.0, self.seed_cost.times(seeds - self.design.seeds)))
        if self.design.seeds != 1 and self.design.of_samples:
            times = next((times for times in MORE_SAMPLES if self.decides(difference, times=times)), None)
            if times is not None:
                found.append(Addition(self.design.seeds or 0, times, self.sample_cost.times(times - 1)))
        return found


def forecast(plan: Plan, finished: Finished, estimates: Estimates) -> list[PartForecast]:
    """Every part that the plan is about."""

    def cost(artefacts: tuple[str, ...]) -> Cost:
        known = [(estimates.of(artefact), plan.jobs[artefact].execution.job) for artefact in artefacts]
        hours = sum(estimate.seconds for estimate, _ in known) / 3600
        gpu_hours = sum(estimate.seconds / 3600 * shape.gpus * shape.nodes for estimate, shape in known)
        return Cost(hours, gpu_hours, all(estimate.measured for estimate, _ in known))

    parts = []
    for design in designs_of(plan):
        variance, lacking = finished.of(design.outcome, design.arm, design.part, design.doses)
        of_seed = cost(design.of_seeds).times(1 / max(1, design.seeds or 0))
        parts.append(PartForecast(design, variance, lacking, of_seed, cost(design.of_samples)))
    return parts
