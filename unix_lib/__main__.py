"""The command line: `unix-lib <command>`, or `python -m unix_lib <command>`. Commands run in the project's root."""

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

import unix_lib
from unix_lib.artefacts.errors import UserError
from unix_lib.commands import (
    analyze_options,
    benchmark_options,
    generate_options,
    judge_options,
    translate_options,
)
from unix_lib.commands.checkpoint_options import CheckpointPath
from unix_lib.commands.evaluate_options import evaluate
from unix_lib.commands.screen import console
from unix_lib.commands.serve_options import serve
from unix_lib.commands.unexpected import in_one_line

app = typer.Typer(name="unix-lib", no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)

ConfigPath = Annotated[Path, typer.Argument(help="a config, config/<experiment>.yaml")]
ResultsPath = Annotated[Path, typer.Argument(help="results/<experiment>")]
LAPTOP = Path("config/laptop.yaml")

app.add_typer(analyze_options.app, name="analyze")
app.add_typer(benchmark_options.app)
app.add_typer(generate_options.app, name="generate")
app.add_typer(judge_options.app, name="judge")
app.add_typer(translate_options.app, name="translate")
app.command("serve")(serve)


def _show_version(wanted: bool) -> None:
    if wanted:
        console.print(f"unix-lib {unix_lib.__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="show the version and exit")
    ] = False,
) -> None:
    """A reproducible workflow for the Uni-X experiments, from raw data to figures."""


def _of_config(name: str, does: str) -> None:
    """Add a command that takes a config and nothing else; its module is imported when it runs."""

    @app.command(name, help=does)
    def command(config: ConfigPath = LAPTOP) -> None:
        raise typer.Exit(importlib.import_module(f"unix_lib.commands.{name}").run(config, console))


@app.command()
def plan(
    config: ConfigPath = LAPTOP,
    cores: Annotated[int | None, typer.Option(min=1, help="cores that jobs share; default: this machine's")] = None,
) -> None:
    """Show runs x stages: what is done, what would run and why, and what it would cost: time, GPU hours, disk."""
    from unix_lib.commands import plan as command

    raise typer.Exit(command.run(config, cores, console))


@app.command()
def power(
    config: ConfigPath = LAPTOP,
    decide: Annotated[
        list[str] | None,
        typer.Option(help="<claim>=<difference> to decide; default: half of what is planned to be decided"),
    ] = None,
) -> None:
    """Show which difference each claim could be decided by as planned, and what would have to be added."""
    from unix_lib.commands import power as command

    raise typer.Exit(command.run(config, decide or [], console))


@app.command()
def status(
    config: ConfigPath = LAPTOP,
    watch: Annotated[bool, typer.Option("--watch", help="show it anew until all is done")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="as one JSON object (docs/watching.md)")] = False,
    seconds: Annotated[float, typer.Option(min=0.2, help="between two looks of --watch")] = 5,
) -> None:
    """Show what is done, what runs, what failed and what is left; refresh results/<experiment>/current."""
    from unix_lib.commands import status as command

    if as_json:
        raise typer.Exit(command.as_json(config, console))
    raise typer.Exit(command.watch(config, seconds, console) if watch else command.run(config, console))


@app.command()
def follow(
    config: ConfigPath, command: Annotated[list[str], typer.Argument(help="behind `--`: Snakemake with its arguments")]
) -> None:
    """Run a command that makes an experiment, and show below its lines how far it is and how long it will take."""
    from rich.console import Console

    from unix_lib.commands import follow as following

    raise typer.Exit(following.run(config, command, Console(stderr=True, markup=False, emoji=False)))


_of_config("planned", "Write which artefacts a config asks for now to results/<experiment>/planned.json, for DVC.")


@app.command()
def pipeline(
    config: ConfigPath,
    profile: Annotated[str | None, typer.Option(help="Snakemake profile, such as slurm; default: local cores")] = None,
) -> None:
    """Write the experiment's dvc.yaml: in the root for laptop, else in pipelines/<experiment>."""
    from unix_lib.commands import pipeline as command

    raise typer.Exit(command.run(config, profile, console))


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="a config, results/<experiment>, or a git revision[:<experiment>]")],
    b: Annotated[str, typer.Argument(help="what is held against it, likewise")],
    output: Annotated[
        Path | None, typer.Option(help="folder of CSV and pictures; default: in results/compared")
    ] = None,
) -> None:
    """Hold two experiments or commits against each other: settings first, then what they show."""
    from unix_lib.commands import compare as command

    raise typer.Exit(command.run(a, b, output, console))


@app.command()
def push(
    config: ConfigPath = LAPTOP,
    limit: Annotated[float, typer.Option(min=0, help="GB that may be added to what is kept")] = 100,
) -> None:
    """Keep what is made of an experiment with DVC and send it to the remote; says first what is kept where."""
    from unix_lib.commands import push as command

    raise typer.Exit(command.run(config, limit, console))


_of_config("pull", "Add what others kept of an experiment to what is here; deletes nothing.")
_of_config("describe", "Show each run's table of layers, its parameters, FLOPs and memory per token.")


@app.command()
def check(
    config: ConfigPath = LAPTOP,
    samples: Annotated[int, typer.Option(min=16, help="samples of each source, about")] = 64,
) -> None:
    """Take a sample of every source to packs, before anything is made; exits with 1 where something would go wrong."""
    from unix_lib.commands import check as command

    raise typer.Exit(command.run(config, samples, console))


@app.command()
def inspect(
    config: ConfigPath,
    what: Annotated[str, typer.Argument(help="a source, encode/<source> or pack/<mixture>")],
    count: Annotated[int, typer.Option("-n", min=1, help="records, images, or packs shown")] = 8,
    html: Annotated[Path | None, typer.Option(help="also write one page that needs nothing beside it")] = None,
) -> None:
    """Show records with their images, images beside what comes back of their codes, or packs with what is trained."""
    from unix_lib.commands import inspect as command

    raise typer.Exit(command.run(config, what, count, html, console))


_of_config("stats", "Show what data add up to, as far as they are made: tokens, lengths, scripts, what was set aside.")


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
    states: Annotated[
        bool, typer.Option("--states", help="also training states that no checkpoint still to be made starts from")
    ] = False,
    delete: Annotated[bool, typer.Option("--delete", help="remove what is listed")] = False,
) -> None:
    """List, or remove, results that no config reaches."""
    from unix_lib.commands import prune as command

    raise typer.Exit(command.run(results, config or [], states, delete, console))


_of_config(
    "figures", "Draw the figures from the results that exist, also during a run, into results/<experiment>/preview."
)
_of_config("summarize", "Copy scores, claims and figure tables to results/<experiment>/summary and say where to look.")
_of_config("doctor", "Show versions, plugin, profile, devices and what a config still has to fetch.")


@app.command()
def fetch(
    config: ConfigPath,
    pin: Annotated[
        bool, typer.Option("--pin", help="download nothing, but write commits, sizes and licences into the lock")
    ] = False,
) -> None:
    """Download every model, data set and benchmark file that a config names, at pinned revisions."""
    from unix_lib.commands import fetch
    from unix_lib.commands import pin as pinning

    raise typer.Exit(pinning.run(config, console) if pin else fetch.run(config, console))


@app.command()
def inventory(
    config: ConfigPath,
    readers: Annotated[int | None, typer.Option(min=1, help="files read at a time; default: a core each")] = None,
) -> None:
    """Hash the files from outside that a config names, many at a time, so that planning only looks at sizes and times.

    What was hashed is kept beside the files, in .unix-inventory; after a kill it goes on where it was.
    """
    from unix_lib.commands import inventory as command

    raise typer.Exit(command.run(config, readers, console))


@app.command()
def schema(
    output: Annotated[Path, typer.Argument(help="file of the schema")] = Path("config/schema.json"),
    reference: Annotated[Path, typer.Option(help="file of the reference of all keys")] = Path("docs/config.md"),
) -> None:
    """Write what a config may say: the JSON schema for editors, and the reference of all keys."""
    from unix_lib.artefacts.files import write_text
    from unix_lib.config.reference import reference_text
    from unix_lib.config.schema import schema_text

    write_text(output, schema_text())
    write_text(reference, reference_text())


@app.command("lay-out")
def lay_out(
    answers: Annotated[Path, typer.Argument(help="results/<experiment>/generate/<checkpoint>-<benchmark>-<digest>")],
    output: Annotated[Path, typer.Argument(help="new folder for the images")],
) -> None:
    """Write a benchmark's images as its authors' own tools read them: GenEval's folders, DPG-Bench's grids."""
    from unix_lib.commands import lay_out as command

    raise typer.Exit(command.run(answers, output, console))


@app.command()
def export(
    checkpoint: CheckpointPath, output: Annotated[Path, typer.Argument(help="new folder for the Qwen checkpoint")]
) -> None:
    """Write a checkpoint of plan shared as a plain Qwen2 or Qwen3 one, which loads without this package."""
    from unix_lib.commands import export as command

    raise typer.Exit(command.run(checkpoint, output, console))


@app.command("import")
def import_checkpoint(
    folder: Annotated[Path, typer.Argument(help="config.json, weights and tokenizer of a model")],
    name: Annotated[str | None, typer.Option(help="what it is called; default: as the folder")] = None,
    image_tokenizer: Annotated[
        Path | None, typer.Option(help="tokenizers/image-<digest>, or a folder of published weights")
    ] = None,
    template: Annotated[str | None, typer.Option(help="how its turns are joined: ours or published")] = None,
    language: Annotated[str, typer.Option(help="of the instructions that it was trained on: en, zh or de")] = "en",
) -> None:
    """Bring a checkpoint of the published classes, or one of ours that lost its manifest, into results/imported."""
    from unix_lib.commands import import_checkpoint as command

    raise typer.Exit(command.run(folder, name, image_tokenizer, template, language, console))


app.command("evaluate")(evaluate)


@app.command(
    "lm-eval", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
def lm_eval(context: typer.Context) -> None:
    """lm-eval's own command line, with this project's models registered."""
    from unix_lib.commands import lm_eval as command

    command.run(context.args)


def main() -> None:
    """The console script: every error is one line, without a traceback."""
    try:
        app()
    except UserError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except Exception as error:  # what nobody foresaw
        sys.exit(in_one_line(error))


if __name__ == "__main__":
    main()
