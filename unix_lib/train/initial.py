"""The model that a run begins with: drawn afresh, another run's, or from a folder or the hub.

A checkpoint from outside the experiment has ids of its own. That their ranges fit is seen by the model; that they stand
for the same texts and pictures is looked at here, as far as what lies around the checkpoint says.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from unix_lib.artefacts.manifest import MANIFEST, open_artefact
from unix_lib.artefacts.recipe import RecipeError
from unix_lib.checkpoints.errors import CheckpointError
from unix_lib.checkpoints.open import image_tokenizer_of
from unix_lib.config.models import FreshStart, PretrainedStart, RunStart
from unix_lib.config.train import CheckpointSettings, TrainExecution
from unix_lib.jobs.job import Job
from unix_lib.tokenizers.vocabulary import VOCABULARY_FILE, Vocabulary
from unix_lib.train.errors import TrainError

if TYPE_CHECKING:
    from unix_lib.models import UnixForCausalLM

logger = logging.getLogger(__name__)


def initial_model(
    job: Job[CheckpointSettings, TrainExecution], vocabulary: Vocabulary, resumed: Path | None = None
) -> "UnixForCausalLM":
    """The model that a segment begins with, its frozen tensors frozen.

    Args:
        resumed: folder of the state whose weights are loaded next: all of them, so the model has none of its own and
            nothing is read of what the run began with.

    Raises:
        ModelError: a model to start from that is not whole, or doesn't fit the run.
        TrainError: one that was trained with other tokenizers.
        UserError: it was changed after the plan was made.
    """
    from unix_lib.models.freezing import freeze
    from unix_lib.models.pretrained import start_from_pretrained
    from unix_lib.models.start import fresh_model, model_of_config, start_from_checkpoint

    settings = job.settings
    start, plan = settings.start, settings.plan
    seed, vision = settings.seed, settings.vision_start
    if resumed is not None:
        model = model_of_config(resumed)
    elif isinstance(start, FreshStart):
        model = fresh_model(start.shape, plan, vocabulary, seed)
    elif isinstance(start, RunStart):
        folder = job.input("start") / "model"
        model = start_from_checkpoint(folder, plan, vision, seed, start.image_rows, vocabulary=vocabulary)
    else:
        job.begin_reading()
        model = start_from_pretrained(start.path, start.revision, plan, vocabulary, vision, seed, shape=start.shape)
        _require_same_tokenizers(job, start)
        job.end_reading()
    freeze(model, settings.freeze)
    return model


def _require_same_tokenizers(job: Job[CheckpointSettings, TrainExecution], start: PretrainedStart) -> None:
    """Refuse a checkpoint of this project, or one it exported, whose ids stand for something else than here."""
    folder, own = Path(start.path), job.input("text_tokenizer") / "tokenizer"
    with_codes = (folder / VOCABULARY_FILE).is_file() and (folder / "tokenizer.json").is_file()
    if with_codes and _texts(folder) != _texts(own):
        raise TrainError(
            f"{folder}: the checkpoint was trained with another text tokenizer, of as many ids; give tokenizers.text "
            f"kind pretrained and path {folder}"
        )
    artefact = folder.resolve().parent
    if not (artefact / MANIFEST).is_file():
        return
    open_artefact(artefact)
    try:
        theirs, ours = image_tokenizer_of(artefact), image_tokenizer_of(job.input("pack"))
    except (CheckpointError, RecipeError) as error:
        logger.warning("%s: whether its image codes are those of this experiment is not known (%s)", folder, error)
        return
    if _hashes(theirs) != _hashes(ours):
        raise TrainError(
            f"{folder}: the checkpoint was trained with another image tokenizer, {theirs.name}, of as many codes; give "
            f"tokenizers.image kind pretrained and path {theirs}"
        )


def _texts(folder: Path) -> dict[str, int]:
    """What the ids of a text tokenizer stand for."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return dict(tokenizer.get_vocab(with_added_tokens=True))


def _hashes(artefact: Path) -> dict[str, str]:
    return {entry.path: entry.sha256 for entry in open_artefact(artefact).files}
