"""The fixed phrases of a prompt: what stands between a caption and its image.

The text tokenizer learns from them too, so they stand apart from the code that needs a tokenizer.
"""

# PAPER: the first one is the suffix of the authors' generation prompt, and the one evaluation uses.
# ASSUME: the others are ours; the paper draws from a list in English and Chinese that was not at hand. They are
# short because small experiments have captions of a few words.
INSTRUCTIONS = ("Generate an image based on this description.", "Draw this.", "Show it as a picture.")
CAPTION_PHRASE = "The caption of this image is:"  # PAPER: between the image and its caption
UNCONDITIONAL = "<unconditional>"  # PAPER: takes the place of caption and instruction
