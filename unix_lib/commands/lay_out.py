"""`lay-out`: a checkpoint's images of a benchmark's prompts, as the benchmark's authors lay them out."""

from functools import partial
from pathlib import Path

from rich.console import Console

from unix_lib.artefacts.manifest import open_artefact
from unix_lib.artefacts.recipe import recipe_of
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.files import benchmark_file
from unix_lib.config.evaluate import ScorerKind
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.kinds import find_kind, imported
from unix_lib.config.outside import Outside, require_unchanged
from unix_lib.recipes.scores import BEHIND_ENDPOINT


def run(answers: Path, output: Path, console: Console) -> int:
    """Check the answers and the files that they are of, and write the images.

    Raises:
        BenchmarkError: no answers of a benchmark with such a layout, or a folder with something in it.
    """
    open_artefact(answers)
    recipe = recipe_of(answers)
    generated = recipe.stage == "generate" and recipe.kind != "group"
    kind = find_kind("scorer", recipe.kind.removeprefix(BEHIND_ENDPOINT), ScorerKind) if generated else None
    if kind is None or kind.layout is None:
        raise BenchmarkError(f"{answers}: no images of a benchmark whose authors have a layout; name such answers")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise BenchmarkError(f"{output}: there is something already; give a new folder")
    settings = kind.generate.settings.model_validate(recipe.settings)
    require_unchanged(recipe.artefact, settings, Outside(Path.cwd(), FileHashes(None)))
    made = recipe.inputs.get("benchmark")
    source = answers.resolve().parents[1] / made if isinstance(made, str) else None
    if source is not None:
        open_artefact(source)
    file = partial(benchmark_file, recipe.name, source=source, file=settings.file)
    written = imported(kind.layout)(answers, file, settings, output)
    console.print(f"{output}: {written} images", highlight=False, soft_wrap=True)
    return 0
