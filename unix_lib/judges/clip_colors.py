"""Reads the colour of an object with CLIP, without training, as GenEval's judge does.

Everything outside of the object's mask is grey, what remains is cropped to its box, and the colour is that whose
sentences are nearest to it. Preparation with Pillow as open_clip has it, to the pixel.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import AutoTokenizer, CLIPModel

from unix_lib.judges.instances import Instance
from unix_lib.judges.pretrained import JudgeModel, opened, opened_network

COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
SENTENCES = ("a photo of a {color} {name}", "a photo of a {color}-colored {name}", "a photo of a {color} object")
GREY = 0x99
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # OpenAI's, of 0..1


class ColorReader:
    """CLIP, with what it makes of the colours of each class asked for so far."""

    def __init__(self, model: JudgeModel, device: str) -> None:
        """Read its weights.

        Raises:
            JudgeError: they are not here.
        """
        self.device = device
        self._model = opened_network(CLIPModel, model, device)
        self._tokenizer = opened(AutoTokenizer, model)
        self._side = self._model.config.vision_config.image_size
        self._of_class: dict[str, torch.Tensor] = {}

    @torch.inference_mode()
    def read(self, crops: Sequence[Image.Image], name: str) -> list[str]:
        """The colour of each crop, an object of a class."""
        pixels = torch.stack([prepared(crop, self._side) for crop in crops]).to(self.device)
        seen = F.normalize(self._model.get_image_features(pixels).pooler_output.float(), dim=-1)
        return [COLORS[place] for place in (seen @ self._colors_of(name).T).argmax(dim=1).tolist()]

    def _colors_of(self, name: str) -> torch.Tensor:
        """Where the colours of a class lie, (10, width), of length 1."""
        if name not in self._of_class:
            texts = [sentence.format(color=color, name=name) for color in COLORS for sentence in SENTENCES]
            tokens = self._tokenizer(texts, padding=True, return_tensors="pt").to(self.device)
            said = F.normalize(self._model.get_text_features(**tokens).pooler_output.float(), dim=-1)
            self._of_class[name] = F.normalize(said.unflatten(0, (len(COLORS), -1)).mean(dim=1), dim=-1)
        return self._of_class[name]


def crop_of(image: np.ndarray, instance: Instance) -> Image.Image:
    """What CLIP sees of an object in an image, uint8 (H, W, 3)."""
    left, top, right, bottom = instance.box
    box = np.s_[top:bottom, left:right]
    return Image.fromarray(np.where(instance.mask[box][..., None], image[box], np.uint8(GREY)))


def prepared(image: Image.Image, side: int) -> torch.Tensor:
    """float32 (3, side, side): the shortest side fits, bicubic, and the centre stays."""
    scale = side / min(image.size)
    width, height = (side if length == min(image.size) else int(length * scale) for length in image.size)
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - side) / 2), round((height - side) / 2)
    levels = np.asarray(resized.crop((left, top, left + side, top + side)), np.float32) / 255
    return torch.from_numpy(((levels - MEAN) / STD).astype(np.float32).transpose(2, 0, 1))
