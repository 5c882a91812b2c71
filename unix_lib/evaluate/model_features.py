"""What a pretrained vision model sees in images: its pooled features of each, prepared as the model is used to."""

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel

from unix_lib.judges.judge import JudgeError
from unix_lib.judges.pretrained import JudgeModel, opened, opened_network

PROBED_SIZE = 32  # pixels of a grey image, which says whether there are such features


def model_features(model: JudgeModel, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """What gives float32 (N, width) of uint8 images (N, S, S, 3).

    Of a model of images and texts, such as CLIP, they are its embeddings of images.

    Raises:
        JudgeError: the model's files are not here, lack weights, or are of a model without pooled features of images.
    """
    network = opened_network(AutoModel, model, device)
    processor = opened(AutoImageProcessor, model, backend="pil")  # the same pixels with and without torchvision
    pooled = getattr(network, "get_image_features", network)

    @torch.inference_mode()
    def features(images: np.ndarray) -> np.ndarray:
        shown = processor([Image.fromarray(image) for image in images], return_tensors="pt")
        found = pooled(pixel_values=shown["pixel_values"].to(device)).pooler_output
        flat: np.ndarray = (
            found.reshape(len(images), found.shape[1]).float().cpu().numpy()
        )  # of ResNet (N, width, 1, 1)
        return flat

    try:
        features(np.full((2, PROBED_SIZE, PROBED_SIZE, 3), 128, np.uint8))
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        raise JudgeError(
            f"{model.path}: a {type(network).__name__} gives no pooled features of images; give a vision model that "
            "does, such as CLIP, SigLIP, DINOv2, ViT with its pooler, or ResNet"
        ) from error
    return features
