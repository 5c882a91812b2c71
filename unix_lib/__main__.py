"""The command line: `python -m unix_lib <command>`. Commands run in the project's root."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from unix_lib.artefacts.errors import UserError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console(width=None if sys.stdout.isatty() else 120)

ConfigPath = Annotated[Path, typer.Argument(help="a config, config/<experiment>.yaml")]
ResultsPath = Annotated[Path, typer.Argument(help="results/<experiment>")]
LAPTOP = Path("config/laptop.yaml")


@app.command()
def plan(config: ConfigPath = LAPTOP) -> None:
    """Show runs x stages: what is done, what would run and why, tokens, parameters, estimated time."""
    from unix_lib.commands import plan as command

    raise typer.Exit(command.run(config, console))


@app.command()
def status(config: ConfigPath = LAPTOP) -> None:
    """Show what is done, stage by stage, and refresh results/<experiment>/current."""
    from unix_lib.commands import status as command

    raise typer.Exit(command.run(config, console))


@app.command()
def describe(config: ConfigPath = LAPTOP) -> None:
    """Show each run's table of layers, its parameters, FLOPs and memory per token."""
    from unix_lib.commands import describe as command

    raise typer.Exit(command.run(config, console))


@app.command()
def verify(results: ResultsPath) -> None:
    """Re-hash every artefact; exits with 1 on damage."""
    from unix_lib.commands import verify as command

    raise typer.Exit(command.run(results, console))


@app.command()
def prune(
    results: ResultsPath,
    config: Annotated[
        list[Path] | None, typer.Option(help="configs that keep results; default: all in config/")
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="remove what is listed")] = False,
) -> None:
    """List, or remove, results that no config reaches."""
    from unix_lib.commands import prune as command

    raise typer.Exit(command.run(results, config or [], delete, console))


@app.command()
def figures(config: ConfigPath = LAPTOP) -> None:
    """Draw the figures from the results that exist, also during a run, into results/<experiment>/preview."""
    from unix_lib.commands import figures as command

    raise typer.Exit(command.run(config, console))


@app.command()
def summarize(config: ConfigPath = LAPTOP) -> None:
    """Copy scores, claims and figure tables to results/<experiment>/summary and say where to look."""
    from unix_lib.commands import summarize as command

    raise typer.Exit(command.run(config, console))


@app.command()
def doctor(config: ConfigPath = LAPTOP) -> None:
    """Show versions, plugin, profile, devices and what a config still has to fetch."""
    from unix_lib.commands import doctor as command

    raise typer.Exit(command.run(config, console))


@app.command()
def fetch(config: ConfigPath) -> None:
    """Download every model, data set and benchmark file that a config names, at pinned revisions."""
    from unix_lib.commands import fetch as command

    raise typer.Exit(command.run(config, console))


@app.command()
def schema(output: Annotated[Path, typer.Argument(help="file to write")] = Path("config/schema.json")) -> None:
    """Write the JSON schema of a config."""
    from unix_lib.config.schema import write_schema

    write_schema(output)


@app.command(
    "lm-eval", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
def lm_eval(context: typer.Context) -> None:
    """lm-eval's own command line, with this project's models registered."""
    from unix_lib.commands import lm_eval as command

    command.run(context.args)


if __name__ == "__main__":
    try:
        app()
    except UserError as error:
        sys.exit(f"{type(error).__name__}: {error}")
