"""The `tokenizers` stage: one job each for the text tokenizer, the image tokenizer and the vocabulary."""

from unix_lib.artefacts.manifest import Manifest
from unix_lib.jobs.job import Job


def make_tokenizer(job: Job) -> Manifest:
    """Make what the recipe names: `text`, `image` or `vocabulary`. Only `image` imports torch."""
    if job.recipe.name == "text":
        from unix_lib.tokenizers.text import make_text_tokenizer

        return make_text_tokenizer(job)
    if job.recipe.name == "image":
        from unix_lib.tokenizers.image import make_image_tokenizer

        return make_image_tokenizer(job)
    if job.recipe.name == "vocabulary":
        from unix_lib.tokenizers.vocabulary import make_vocabulary

        return make_vocabulary(job)
    raise ValueError(f"recipe {job.recipe.artefact}: the tokenizers stage makes text, image and vocabulary only")
