"""`export`: a shared checkpoint as a plain Qwen checkpoint."""

from pathlib import Path

from rich.console import Console

from unix_lib.checkpoints.open import checkpoint_folder
from unix_lib.models.export import export


def run(checkpoint: Path, output: Path, console: Console) -> int:
    """Check the checkpoint, export it, and say how it loads."""
    export(checkpoint_folder(checkpoint) / "model", output)
    console.print(f"{output}: load it with AutoModelForCausalLM.from_pretrained('{output}')", soft_wrap=True)
    return 0
