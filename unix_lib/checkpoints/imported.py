"""Makes a checkpoint in this project's layout of somebody's: the published classes, ours, or one that was exported.

Its weights keep their numbers and their precision, under our names and with rows where our vocabulary has them.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unix_lib.artefacts.manifest import Manifest
from unix_lib.checkpoints.errors import CheckpointError
from unix_lib.checkpoints.open import require_same_codes
from unix_lib.config.brought import ImportedSettings
from unix_lib.config.jobs import Execution
from unix_lib.config.models import SharedPlan
from unix_lib.jobs.job import Job
from unix_lib.tokenizers.text import TextTokenizerError, load_pretrained
from unix_lib.tokenizers.vocabulary import END_OF_TEXT, VOCABULARY_FILE, Vocabulary

if TYPE_CHECKING:
    from unix_lib.models import UnixForCausalLM

UNKNOWN = -1


def make_imported(job: Job[ImportedSettings, Execution]) -> Manifest:
    """Make `train/<name>`; the image tokenizer is in role `image_tokenizer`, where it has one.

    Raises:
        CheckpointError: a folder without text tokenizer, or of a model that has no image codes.
        ModelError: a class that is not known, weights that are not whole, or ids that are not the vocabulary's.
    """
    from unix_lib.models.checkpoint import write_model
    from unix_lib.models.pretrained import pretrained_config
    from unix_lib.models.start import parameter_counts

    path, folder = Path(job.settings.path), job.folder / "model"
    config = pretrained_config(path, "main")
    try:
        tokenizer = load_pretrained(str(path), "main")
    except TextTokenizerError:
        raise CheckpointError(
            f"{path}: no fast text tokenizer with Qwen2.5's special tokens beside the weights; put its tokenizer.json "
            "and tokenizer_config.json there"
        ) from None
    vocabulary = _vocabulary(job, path, config, tokenizer.get_vocab())
    model = _model(path, config, vocabulary)
    shutil.rmtree(folder, ignore_errors=True)
    write_model(folder, model, {name: value.detach() for name, value in model.named_parameters()})
    tokenizer.eos_token = tokenizer.pad_token = END_OF_TEXT  # instruct models name another token
    tokenizer.save_pretrained(folder)
    vocabulary.write(folder)
    return job.finish(
        {f"model/{each.relative_to(folder)}": None for each in folder.rglob("*") if each.is_file()},
        facts={
            **{"run": job.settings.name, "step": UNKNOWN, "tokens": UNKNOWN, "seed": UNKNOWN},
            "architecture": model.config.architecture,
            **{f"parameters_{part}": count for part, count in parameter_counts(model).items()},
        },
    )


def _vocabulary(job: Job[ImportedSettings, Execution], path: Path, config: Any, text_ids: dict[str, int]) -> Vocabulary:
    from unix_lib.models.published import is_published, published_vocabulary
    from unix_lib.tokenizers.image import load_image_tokenizer

    known = (path / VOCABULARY_FILE).is_file()
    if not known and not is_published(config):
        raise CheckpointError(
            f"{path}: neither a checkpoint of the published classes nor with a {VOCABULARY_FILE} that says which of "
            "its ids are image codes; a model of text alone is what a run starts from"
        )
    if "image_tokenizer" not in job.recipe.inputs:
        if not known:
            raise CheckpointError(f"{path}: its codes are those of an image tokenizer; name that by --image-tokenizer")
        return Vocabulary.read(path)
    images = load_image_tokenizer(job.input("image_tokenizer"))
    vocabulary = Vocabulary.read(path) if known else published_vocabulary(config, text_ids, images.codes_per_image)
    require_same_codes(images, vocabulary)
    return vocabulary


def _model(path: Path, config: Any, vocabulary: Vocabulary) -> "UnixForCausalLM":
    import torch

    from unix_lib.models.checkpoint import load_model, require_vocabulary
    from unix_lib.models.pretrained import OWN, start_from_pretrained
    from unix_lib.models.published import is_published, published_plan

    dtype = config.dtype if isinstance(config.dtype, torch.dtype) else torch.float32
    if config.model_type == OWN:
        require_vocabulary(config, vocabulary, str(path))
        return load_model(path, dtype)
    plan = published_plan(str(path), config) if is_published(config) else SharedPlan(preset="shared")
    return start_from_pretrained(path, "main", plan, vocabulary, "copy", seed=0, dtype=dtype)
