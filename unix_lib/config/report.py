"""Config of the `report` stage: the one-page summary."""

from unix_lib.config.kinds import JobKind
from unix_lib.config.strict import StrictModel, key


class ReportConfig(StrictModel):
    """What the report says about the experiment beside its numbers."""

    title: str | None = key("headline of the page; null takes the experiment's name", None, max_length=1000)
    scale: str | None = key(
        "one plain sentence on the scale, printed on every figure; null computes it: parameters, tokens, data, seeds",
        None,
        max_length=1000,
    )


class ReportSettings(StrictModel):
    """What the page depends on beside what it shows."""

    title: str = key("headline of the page")
    scale: str = key("one plain sentence on the scale")


PAGE = JobKind(ReportSettings, "unix_lib.report.make:make_report", 4)
