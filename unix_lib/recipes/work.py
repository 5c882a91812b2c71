"""How much a job has to do: floating-point operations where they decide its time, else things of its kind's own.

Estimates scale what was measured by it, so that it need be right in proportion only: ten times the steps are ten times
the work. A kind outside the package says it by a method `work` of its job's settings; without one all its jobs count
as alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from unix_lib.artefacts.recipe import Recipe
from unix_lib.config.evaluate import ScorerKind
from unix_lib.config.kinds import find_kind
from unix_lib.config.pack import PackSettings
from unix_lib.config.strict import StrictModel
from unix_lib.config.tokenizers import VQGANShape
from unix_lib.config.train import CheckpointSettings

TRAINING_OPERATIONS = 6  # per token and parameter: two forward, four backward
ANSWERING_OPERATIONS = 2
# ASSUME: sixteen documents fill a pack, as they do in the default experiment.
DOCUMENTS_PER_PACK = 16
# ASSUME: tokens of a question beside its image, and of a text question with its choices.
QUESTION_TOKENS, TEXT_QUESTION_TOKENS = 64, 512
# ASSUME: of a benchmark that a file holds; the paper's have between 500 and 14,000.
QUESTIONS = 5000
GUIDED = 2  # an image under guidance is computed with its prompt and without


@dataclass(frozen=True)
class Work:
    """What a job has to do."""

    amount: float
    unit: Literal["operations", "things"]


class Jobs(Protocol):
    """Jobs by artefact, planned or finished; each method raises KeyError for what is not among them."""

    def recipe(self, artefact: str) -> Recipe: ...
    def settings(self, artefact: str) -> StrictModel: ...

    def parameters(self, checkpoint: str) -> float:
        """Active parameters per token, the mean over text and vision tokens."""

    def steps_before(self, checkpoint: str) -> int:
        """The step that a checkpoint's own job begins at."""


@runtime_checkable
class Counted(Protocol):
    """Settings that say how much there is to do."""

    def work(self) -> float: ...


@runtime_checkable
class Shaped(Protocol):
    """Settings of an image tokenizer."""

    shape: VQGANShape


@runtime_checkable
class Limited(Protocol):
    """Settings that may take the first samples only."""

    limit: int | None


def work_of(artefact: str, jobs: Jobs) -> Work:
    """What a job has to do.

    Raises:
        KeyError: it builds on an artefact that is not among the jobs.
    """
    recipe, settings = jobs.recipe(artefact), jobs.settings(artefact)
    if recipe.stage == "train":
        return Work(_training(artefact, jobs), "operations")
    if recipe.stage == "generate":
        members = recipe.in_role("answers") if recipe.kind == "group" else [artefact]
        return Work(sum(_answering(member, jobs) for member in members), "operations")
    if recipe.stage == "encode":
        images = sum(things_of(name, jobs) for name in recipe.in_role("images"))
        return Work(images * _image_operations(recipe, jobs), "operations")
    if recipe.stage == "tokenizers" and isinstance(settings, Shaped) and isinstance(settings, Counted):
        # Encoder and decoder, forward and backward.
        return Work(settings.work() * 6 * _encoder_operations(settings.shape), "operations")
    if recipe.stage == "analyze" and "checkpoint" in recipe.inputs:
        return Work(_analysing(artefact, jobs) * _of_checkpoint(recipe, jobs), "operations")
    return Work(things_of(artefact, jobs), "things")


def things_of(artefact: str, jobs: Jobs) -> float:
    """Scenes, images, documents, questions: what the kind counts, else what its inputs have, else one."""
    recipe, settings = jobs.recipe(artefact), jobs.settings(artefact)
    if isinstance(settings, Counted):
        return settings.work()
    if recipe.stage == "evaluate":
        return sum(_questions(name, jobs) for name in _inputs(recipe, "answers"))
    if isinstance(settings, PackSettings):
        return sum(things_of(name, jobs) for name in _inputs(recipe, "tokens"))
    if recipe.stage == "tokenize":
        return sum(things_of(name, jobs) for name in recipe.in_role("records"))
    if recipe.stage in ("sources", "translate", "tokenizers"):
        return sum(things_of(name, jobs) for name in recipe.upstream) if recipe.upstream else 1
    return 1


def _inputs(recipe: Recipe, role: str) -> Iterable[str]:
    """Artefacts of a role, and of those that it begins, such as `records:photos`."""
    for name in recipe.inputs:
        if name.partition(":")[0] == role:
            yield from recipe.in_role(name)


def _training(artefact: str, jobs: Jobs) -> float:
    settings = jobs.settings(artefact)
    assert isinstance(settings, CheckpointSettings)
    steps = settings.step - jobs.steps_before(artefact)
    tokens = steps * settings.optimization.packs_per_step * _pack_length(jobs.recipe(artefact), jobs)
    return tokens * TRAINING_OPERATIONS * jobs.parameters(artefact)


def _pack_length(recipe: Recipe, jobs: Jobs) -> int:
    (pack,) = recipe.in_role("pack")
    settings = jobs.settings(pack)
    assert isinstance(settings, PackSettings)
    return settings.pack_length


def _of_checkpoint(recipe: Recipe, jobs: Jobs) -> float:
    (checkpoint,) = recipe.in_role("checkpoint")
    return jobs.parameters(checkpoint)


def _analysing(artefact: str, jobs: Jobs) -> float:
    """Operations per parameter of an analysis of a checkpoint: on documents of packs, or of prompts that it answers."""
    recipe, things = jobs.recipe(artefact), things_of(artefact, jobs)
    if "pack" in recipe.inputs:
        return things * _pack_length(recipe, jobs) / DOCUMENTS_PER_PACK * TRAINING_OPERATIONS
    tokens = GUIDED * _codes_per_image(recipe, jobs) or TEXT_QUESTION_TOKENS
    sources = sum(role.startswith("records:") for role in recipe.inputs) or 1
    return things * sources * tokens * ANSWERING_OPERATIONS


def _codes_per_image(recipe: Recipe, jobs: Jobs) -> int:
    """Codes of an image of the tokenizer that a job uses; 0 without one."""
    shapes = [jobs.settings(name) for name in recipe.in_role("image_tokenizer")]
    return sum(shape.shape.codes_per_image for shape in shapes if isinstance(shape, Shaped))


def _answering(artefact: str, jobs: Jobs) -> float:
    """Operations of a checkpoint that answers one benchmark."""
    recipe, settings = jobs.recipe(artefact), jobs.settings(artefact)
    family = find_kind("scorer", recipe.kind, ScorerKind).family
    codes = _codes_per_image(recipe, jobs)
    if family == "generation":
        tokens = GUIDED * codes * (settings.work() if isinstance(settings, Counted) else 1)
    else:
        tokens = codes + QUESTION_TOKENS if family == "understanding" else TEXT_QUESTION_TOKENS
    return _questions(artefact, jobs) * tokens * ANSWERING_OPERATIONS * _of_checkpoint(recipe, jobs)


def _questions(artefact: str, jobs: Jobs) -> float:
    """Questions or prompts that are answered."""
    recipe, settings = jobs.recipe(artefact), jobs.settings(artefact)
    asked = sum(things_of(name, jobs) for name in recipe.in_role("benchmark")) or QUESTIONS
    return min(asked, settings.limit or asked) if isinstance(settings, Limited) else asked


def _image_operations(recipe: Recipe, jobs: Jobs) -> float:
    (tokenizer,) = recipe.in_role("image_tokenizer")
    settings = jobs.settings(tokenizer)
    return _encoder_operations(settings.shape) if isinstance(settings, Shaped) else 1


def _encoder_operations(shape: VQGANShape) -> float:
    """Of the 3x3 convolutions of a VQGAN's encoder on one image: two a residual block."""
    operations: float = sum(
        shape.residual_blocks * 2 * 2 * 9 * (shape.base_channels * multiplier) ** 2 * (shape.image_size / 2**level) ** 2
        for level, multiplier in enumerate(shape.channel_multipliers)
    )
    return operations
