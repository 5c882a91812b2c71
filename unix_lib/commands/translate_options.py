"""The command line of `unix-lib translate`; what it does is imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from unix_lib.commands.screen import console

app = typer.Typer(no_args_is_help=True, help="Texts in another language, through an endpoint or a batch file.")

ConfigPath = Annotated[Path, typer.Argument(help="a config, config/<experiment>.yaml")]
TextColumns = Annotated[
    list[str], typer.Option("--column", help="column of texts; may be repeated; 'conversations.value' looks into lists")
]
AnswersFolder = Annotated[Path, typer.Option("--answers", help="folder in which answers are kept")]
ANSWERS = Path("data/translations")
BatchFolder = Annotated[Path, typer.Argument(help="folder for the batch files")]


@app.command("file")
def translate_file(
    file: Annotated[Path, typer.Argument(help="a .jsonl, .json, .csv, .tsv or .parquet file")],
    columns: TextColumns,
    language: Annotated[str, typer.Option(help="language that is translated into, in words")],
    model: Annotated[str, typer.Option(help="name of the model, as the endpoint knows it")],
    *,
    url: Annotated[str | None, typer.Option(help="whole address, .../v1/chat/completions")] = None,
    into: Annotated[str | None, typer.Option(help="a new column for the translation; default: the text's own")] = None,
    output: Annotated[Path | None, typer.Option(help="default: <file>-translated beside the file")] = None,
    keep: Annotated[list[str] | None, typer.Option(help="words that stay as they are; may be repeated")] = None,
    instructions: Annotated[str | None, typer.Option(help="what the model is told, with {language} in it")] = None,
    parameters: Annotated[str, typer.Option(help="JSON of what else stands in every request")] = "{}",
    key_variable: Annotated[str | None, typer.Option(help="environment variable that holds the key")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="requests under way at a time")] = 16,
    requests_per_minute: Annotated[float | None, typer.Option(help="most requests a minute")] = None,
    answers: AnswersFolder = ANSWERS,
    batch: Annotated[Path | None, typer.Option(help="write requests to batch files in this folder instead")] = None,
) -> None:
    """Translate columns of a file; a command that was killed goes on where it was."""
    from unix_lib.commands import translate as command

    order = command.FileOrder(file, columns, into, output, answers)
    wording = command.wording_of(model, language, instructions, parameters, keep or [])
    if batch is not None:
        raise typer.Exit(command.export_file(order, wording, batch, console))
    where = command.endpoint_of(url, key_variable, concurrency, requests_per_minute)
    raise typer.Exit(command.translate_file(order, wording, where, console))


@app.command("export")
def translate_export(config: ConfigPath, folder: BatchFolder) -> None:
    """Write what a config's translations still ask for to batch files, so that their jobs need no network."""
    from unix_lib.commands import translate as command

    raise typer.Exit(command.export_config(config, folder, console))


@app.command("import")
def translate_import(
    files: Annotated[list[Path], typer.Argument(help="files of replies, as a batch gave them")],
    answers: AnswersFolder = ANSWERS,
) -> None:
    """Keep the answers of a batch, where jobs and `translate file` find them."""
    from unix_lib.commands import translate as command

    raise typer.Exit(command.import_replies(files, answers, console))
