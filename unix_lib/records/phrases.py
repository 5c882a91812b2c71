"""The fixed phrases of a prompt: what stands between a caption and its image, in three languages.

The text tokenizer learns from the English ones too, so they stand apart from the code that needs a tokenizer.
"""

from collections.abc import Sequence

# PAPER: the first one is the suffix of the authors' generation prompt, and the one evaluation uses.
# ASSUME: the others are ours; the paper draws from a list in English and Chinese that was not at hand. They are
# short because small experiments have captions of a few words.
INSTRUCTIONS = ("Generate an image based on this description.", "Draw this.", "Show it as a picture.")
CAPTION_PHRASE = "The caption of this image is:"  # PAPER: between the image and its caption
UNCONDITIONAL = "<unconditional>"  # PAPER: takes the place of caption and instruction
# PAPER: in the authors' code, before the instruction of samples of several sizes.
IMAGE_SIZE = "Image Size: Width is {size} Height is {size}."

# By part of a document, then by language: behind a caption that is to become an image; between an image and its
# caption; and, where captions are answers, what asks for them.
PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "instruction": {
        "en": tuple(f" {line}" for line in INSTRUCTIONS),
        "zh": ("请把这段描述画成图。", "画出来。", "用一张图片来表现。"),  # Chinese puts no space between sentences
        "de": (" Erzeuge ein Bild zu dieser Beschreibung.", " Zeichne das.", " Zeig es als Bild."),
    },
    "caption_phrase": {
        "en": (CAPTION_PHRASE,),
        "zh": ("这张图片的说明是：",),
        "de": ("Die Bildunterschrift lautet:",),
    },
    "question": {
        "en": ("Describe this image.", "What does this picture show?", "Write a caption for this image."),
        "zh": ("请描述这张图片。", "这张图里有什么？", "给这张图片写一句说明。"),
        "de": ("Beschreibe dieses Bild.", "Was ist auf dem Bild zu sehen?", "Schreibe eine Bildunterschrift."),
    },
}


def phrases_of(part: str, languages: Sequence[str]) -> list[str]:
    """Phrases of a part in some languages, language after language."""
    return [phrase for language in languages for phrase in PHRASES[part][language]]
