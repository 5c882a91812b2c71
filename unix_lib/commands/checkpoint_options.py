"""How the command line names a checkpoint, its image tokenizer, and where both run."""

from pathlib import Path
from typing import Annotated

import typer

CheckpointPath = Annotated[Path, typer.Argument(help="results/<experiment>/current/train/<run>-step-<step>")]
Device = Annotated[str, typer.Option(help="cpu, cuda, or auto")]
ImageTokenizerPath = Annotated[
    Path | None, typer.Option(help="tokenizers/image-<digest>; default: the one behind the checkpoint's data")
]
