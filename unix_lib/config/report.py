"""Config of the `report` stage: the one-page summary."""

from unix_lib.config.strict import StrictModel, key


class ReportConfig(StrictModel):
    """What the report says about the experiment beside its numbers."""

    title: str = key("headline of the page")
    scale: str = key("one plain sentence on the scale: parameters, data, seeds; printed on every figure")
