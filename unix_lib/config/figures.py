"""Config of the `figures` stage: which figures and tables are drawn."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from unix_lib.config.jobs import Execution, JobShape
from unix_lib.config.kinds import JobKind, Kind, KindField
from unix_lib.config.strict import StrictModel, key

# Where the report has a figure: a step of the paper's argument, the data, or behind all that.
FigurePart = Literal["premise", "mechanism", "effect", "data", "more"]


class FigureSettings(StrictModel):
    """The config of a figure of any kind: its name, or a mapping with the keys of its kind."""

    kind: str = key("name of the figure, or a module of your own")

    @property
    def name(self) -> str:
        """Name of the figure's artefact and files."""
        return self.kind.rpartition(".")[2]


@dataclass(frozen=True)
class FigureKind(Kind[Any]):
    """A kind of figure: what it shows, and how to read it.

    `reads` are roles without which it says nothing, `also_reads` roles that add to it: `checkpoints`, `evaluations`,
    `ceilings`, `images`, or the name of an analysis kind. `draw` is "module:function": it takes (inputs, settings)
    with `unix_lib.figures.inputs.Inputs` and `DrawnFigure`, and gives a `Drawing`.
    """

    draw: str = field(kw_only=True)
    logic_version: int = field(kw_only=True)
    reads: tuple[str, ...] = field(kw_only=True)
    also_reads: tuple[str, ...] = ()
    title: str = ""
    how_to_read: str = ""
    part: FigurePart = "more"
    only_named: bool = False  # drawn only where a config names it
    settings: type[Any] = FigureSettings

    @property
    def job(self) -> JobKind[Any]:
        """The figure's job."""
        return JobKind(DrawnFigure, "unix_lib.figures.make:make_figure", self.logic_version)


class DrawnFigure(StrictModel):
    """What a figure depends on beside the tables that it shows."""

    figure: Annotated[FigureSettings, KindField("figure", FigureKind)] = key("the figure")
    scale: str = key("one plain sentence on the experiment's scale, below the figure")


class FiguresConfig(Execution):
    """Figures and tables, one job each."""

    names: list[Annotated[FigureSettings, KindField("figure", FigureKind)]] | None = key(
        "figures drawn; null draws each whose tables this experiment makes", None, kind="operational"
    )
    job: JobShape = key("shape of a figure job", JobShape(runtime_minutes=30), kind="operational")
