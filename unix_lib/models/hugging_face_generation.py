"""What transformers' `generate()` and its loading must know of the decoder: which ids name tokens."""

from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, GenerationMixin, LogitsProcessor, LogitsProcessorList

from unix_lib.models.configuration import ModelError, UnixConfig


class NamedTokensOnly(LogitsProcessor):
    """Keeps `generate()` to ids that name a token; the head has rows between the text ids and the image codes too."""

    def __init__(self, config: UnixConfig) -> None:
        self.unnamed = torch.tensor(config.unnamed_ids, dtype=torch.long)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (B, V) with -inf for ids that name no token."""
        return scores.index_fill(-1, self.unnamed.to(scores.device), -torch.inf)


class UnixGenerationMixin(GenerationMixin):
    """`generate()` for the decoder. Its name ends as transformers expects of a model that can generate."""

    @classmethod
    def from_pretrained(cls, *arguments: Any, **settings: Any) -> Any:
        """As transformers has it, with `generate()` using its cache.

        Checkpoints may say `use_cache: false`: transformers' Trainer writes that into the config of what it trains.
        """
        loaded: Any = super().from_pretrained(*arguments, **settings)  # type: ignore[misc]  # of the class it is mixed into
        model = loaded[0] if settings.get("output_loading_info") else loaded
        model.config.use_cache = True
        if settings.get("generation_config") is None:
            model.generation_config.use_cache = True
        return loaded

    def generate(
        self,
        inputs: Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        logits_processor: LogitsProcessorList | None = None,
        *arguments: Any,
        **settings: Any,
    ) -> Any:
        """As transformers has it; an id that names no token is never generated.

        A text may go on with an image: `<|vision_start|>` and image codes are tokens like others. To stay with text,
        pass `suppress_tokens=model.config.image_ids`.
        """
        model: Any = self
        processors = LogitsProcessorList([NamedTokensOnly(model.config), *(logits_processor or [])])
        return super().generate(inputs, generation_config, processors, *arguments, **settings)  # type: ignore[misc]

    def resize_token_embeddings(self, new_num_tokens: int | None = None, *arguments: Any, **settings: Any) -> Any:
        """The embedding as it is.

        Raises:
            ModelError: another number of rows is asked for, where every image code has its place.
        """
        model: Any = self
        rows = model.config.vocab_size
        if new_num_tokens not in (None, rows):
            raise ModelError(
                f"the embedding can't be resized from {rows} to {new_num_tokens} rows: image codes follow the text "
                "ids, and would lose their places; train with a vocabulary that has room for the new tokens"
            )
        return model.get_input_embeddings()
