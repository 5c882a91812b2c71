"""CLIP's embeddings of images."""

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from transformers import CLIPModel

from unix_lib.judges.clip_colors import prepared
from unix_lib.judges.pretrained import JudgeModel, opened_network


def clip_features(model: JudgeModel, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """What gives float32 (N, width) of uint8 images (N, S, S, 3).

    Raises:
        JudgeError: the model's files are not here.
    """
    network = opened_network(CLIPModel, model, device)
    side = network.config.vision_config.image_size

    @torch.inference_mode()
    def features(images: np.ndarray) -> np.ndarray:
        pixels = torch.stack([prepared(Image.fromarray(image), side) for image in images]).to(device)
        found: np.ndarray = network.get_image_features(pixels).pooler_output.float().cpu().numpy()
        return found

    return features
