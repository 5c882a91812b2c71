"""A model as something that benchmarks are put to: a checkpoint from anywhere, or what answers at an address."""

from dataclasses import replace
from pathlib import Path

from unix_lib.artefacts.manifest import read_manifest
from unix_lib.checkpoints.open import checkpoint_folder, image_tokenizer_of, wording_of
from unix_lib.recipes.scores import Subject
from unix_lib.scoring.bringing import bring


def checkpoint_subject(checkpoint: str, results: Path) -> Subject:
    """A checkpoint, brought below `results`.

    Raises:
        CheckpointError: no checkpoint there. ArtefactError: a damaged one.
    """
    folder = checkpoint_folder(Path(checkpoint))
    facts = read_manifest(folder).facts
    return Subject(facts["run"], facts["step"], bring(folder, results), wording=wording_of(folder))


def with_image_tokenizer(subject: Subject, image_tokenizer: str | None, results: Path) -> Subject:
    """A checkpoint with its image tokenizer, brought below `results` too.

    Args:
        image_tokenizer: folder of the one that it was trained with; None finds it through the recipes of its data.

    Raises:
        CheckpointError: none is found. ArtefactError: a damaged one.
    """
    if image_tokenizer is None:
        tokenizer = image_tokenizer_of((results / subject.checkpoint).resolve())
    else:
        tokenizer = Path(image_tokenizer)
    return replace(subject, image_tokenizer=bring(tokenizer, results))
