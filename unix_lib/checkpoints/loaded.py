"""A trained checkpoint with its tokenizers, each loaded when first used: a job whose samples are stored loads none."""

import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from unix_lib.config.generate import Wording
from unix_lib.tokenizers.text import load_text_tokenizer
from unix_lib.tokenizers.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from unix_lib.inference.engine import Engine
    from unix_lib.models import UnixForCausalLM
    from unix_lib.tokenizers.image import ImageTokenizer

ORIGIN = ("run", "step", "tokens", "architecture", "seed")  # facts of a checkpoint that its scores carry

log = logging.getLogger(__name__)


class Checkpoint:
    """A model with its tokenizers, on one device."""

    def __init__(
        self,
        folder: Path,
        image_tokenizer: Path | None,
        batch_size: int,
        device: str = "cpu",
        wording: Wording | None = None,
        *,
        batch_invariant: bool = True,
        cuda_graph: bool = False,
    ) -> None:
        """Remember where everything is: the artefacts, already checked, and how requests are decoded.

        `image_tokenizer` is None where no benchmark has images; `batch_size` is how many requests with guidance are
        decoded together; `device` is cpu or cuda; `wording` says how prompts are put; the others are the engine's.
        """
        self.folder = folder
        self.batch_size = batch_size
        self.device = device
        self.wording = wording or Wording()
        self.batch_invariant, self.cuda_graph = batch_invariant, cuda_graph
        self._image_tokenizer = image_tokenizer

    @property
    def has_images(self) -> bool:
        """Whether it can be shown images and draw them."""
        return self._image_tokenizer is not None

    @cached_property
    def model(self) -> "UnixForCausalLM":
        import torch

        from unix_lib.models.checkpoint import load_model

        log.info("loading %s", self.folder / "model")
        # On a GPU in the precision of training; on the CPU bfloat16 is slower than float32 and less exact.
        model = load_model(self.folder / "model", torch.bfloat16 if self.device == "cuda" else torch.float32)
        model.eval().to(self.device)
        return model

    @cached_property
    def engine(self) -> "Engine":
        from unix_lib.inference.engine import Engine

        rows = 2 * self.batch_size  # guidance takes two
        return Engine(self.model, rows=rows, batch_invariant=self.batch_invariant, cuda_graph=self.cuda_graph)

    @cached_property
    def tokenizer(self) -> "PreTrainedTokenizerFast":
        return load_text_tokenizer(self.folder / "model")

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.read(self.folder / "model")

    @cached_property
    def image_tokenizer(self) -> "ImageTokenizer":
        from unix_lib.tokenizers.image import load_image_tokenizer

        if self._image_tokenizer is None:
            raise ValueError("this recipe names no image tokenizer, but a benchmark needs one")
        return load_image_tokenizer(self._image_tokenizer, self.device)
