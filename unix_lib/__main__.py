"""The command line: `unix-lib <command>`, or `python -m unix_lib <command>`. Commands run in the project's root."""

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

import unix_lib
from unix_lib.artefacts.errors import UserError
from unix_lib.commands import analyze_options, generate_options, judge_options, translate_options
from unix_lib.commands.checkpoint_options import CheckpointPath, ImageTokenizerPath
from unix_lib.commands.screen import console
from unix_lib.commands.serve_options import serve
from unix_lib.commands.unexpected import in_one_line

app = typer.Typer(name="unix-lib", no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)

ConfigPath = Annotated[Path, typer.Argument(help="a config, config/<experiment>.yaml")]
ResultsPath = Annotated[Path, typer.Argument(help="results/<experiment>")]
LAPTOP = Path("config/laptop.yaml")

app.add_typer(analyze_options.app, name="analyze")
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


@app.command("benchmark-model")
def benchmark_model(
    *,
    training_layers: Annotated[int, typer.Option(min=6)] = 8,
    training_width: Annotated[int, typer.Option(min=64, help="a multiple of 64")] = 256,
    training_vocabulary: Annotated[int, typer.Option(min=16, help="text rows of the embedding")] = 8192,
    pack_tokens: Annotated[int, typer.Option(min=2, help="tokens of the pack that is trained on")] = 4096,
    layers: Annotated[int, typer.Option(min=6, help="of the decoder that generates")] = 12,
    width: Annotated[int, typer.Option(min=64, help="a multiple of 64")] = 512,
    vocabulary: Annotated[int, typer.Option(min=16, help="text rows of the embedding")] = 151_936,
    codes: Annotated[int, typer.Option(min=2, help="codes of an image")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="images generated together")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="times that each contender runs")] = 3,
    gpu_codes: Annotated[int, typer.Option(min=2, help="codes of an image at 3B")] = 256,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: both where there is a GPU")] = "auto",
) -> None:
    """Time training and decoding beside transformers' own model; one table. Minutes on two cores."""
    from unix_lib.commands import benchmark_model as command

    training = command.size(training_layers, training_width, training_vocabulary, pack_tokens, codes=256)
    generation = command.size(layers, width, vocabulary, codes + 64, codes=codes)
    order = command.Order(training, generation, pack_tokens, batch, rounds, gpu_codes)
    raise typer.Exit(command.run(order, device, console))


@app.command("benchmark-serve")
def benchmark_serve(
    checkpoint: CheckpointPath,
    *,
    clients: Annotated[int, typer.Option(min=1, help="that ask at the same time")] = 64,
    slots: Annotated[int, typer.Option(min=1, help="images drawn together")] = 8,
    seconds: Annotated[float, typer.Option(min=0.1, help="that clients come and stay")] = 120,
    image_tokenizer: ImageTokenizerPath = None,
) -> None:
    """Time a server under load beside the engine that it runs on; one table."""
    from unix_lib.commands import benchmark_serve as command

    raise typer.Exit(
        command.run(checkpoint, image_tokenizer, clients=clients, slots=slots, seconds=seconds, console=console)
    )


@app.command("benchmark-data")
def benchmark_data(
    *,
    vocabulary: Annotated[int, typer.Option(min=300, help="tokens of the BPE")] = 32_768,
    documents: Annotated[int, typer.Option(min=1, help="lengths that are planned")] = 1_000_000,
    photographs: Annotated[int, typer.Option(min=2)] = 96,
    megabytes: Annotated[int, typer.Option(min=1, help="of files that are hashed")] = 2048,
    rounds: Annotated[int, typer.Option(min=1, help="times that each contender runs")] = 3,
    pictures: Annotated[Path | None, typer.Option(help="pictures that near-duplicates are looked for among")] = None,
) -> None:
    """Time samples to packs, plans, images and inventories beside plain loops; one table. Minutes on two cores."""
    from unix_lib.commands import benchmark_data as command

    raise typer.Exit(command.run(vocabulary, documents, photographs, megabytes, pictures, rounds, console))


@app.command("benchmark-saves")
def benchmark_saves(
    *,
    gigabytes: Annotated[
        float, typer.Option(min=0.001, help="of the training state; three times that of memory")
    ] = 4.5,
    folder: Annotated[Path, typer.Option(help="on the disk that is meant")] = Path("results"),
    rounds: Annotated[int, typer.Option(min=1, help="saves each way")] = 3,
) -> None:
    """Time how long saves of a training state hold training up, waiting for the disk and in the background."""
    from unix_lib.commands import benchmark_saves as command

    raise typer.Exit(command.run(gigabytes, folder, rounds, console))


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


@app.command()
def evaluate(
    what: Annotated[
        list[str], typer.Argument(help="checkpoints, addresses (http://.../v1), or one YAML file with a list of models")
    ],
    *,
    benchmarks: Annotated[str | None, typer.Option(help="names, groups or families, apart by commas")] = None,
    config: Annotated[Path | None, typer.Option(help="config whose benchmarks and sampling are meant")] = None,
    file: Annotated[list[str] | None, typer.Option(help="<benchmark>=<path> of a file that lies elsewhere")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first this many samples of each")] = None,
    guidance: Annotated[float | None, typer.Option(min=0, help="s in u + s (c - u); 1 goes without")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="samples computed together")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, or auto")] = None,
    image_tokenizer: ImageTokenizerPath = None,
    csv: Annotated[Path | None, typer.Option(help="also write all scores to this file")] = None,
) -> None:
    """Score checkpoints on benchmarks, without an experiment around them; goes on where it was stopped.

    Benchmarks are those of config/ablation-1.5b.yaml, the paper's, where no other config is named.
    """
    from unix_lib.commands import evaluate as command

    options = {
        "benchmarks": [name.strip() for name in benchmarks.split(",")] if benchmarks else None,
        "config": None if config is None else str(config),
        "files": dict(each.partition("=")[::2] for each in file) if file else None,
        "limit": limit,
        "guidance": guidance,
        "batch_size": batch_size,
        "device": device,
        "image_tokenizer": None if image_tokenizer is None else str(image_tokenizer),
    }
    given = {name: value for name, value in options.items() if value is not None}
    raise typer.Exit(command.run(what, given, csv, console))


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
