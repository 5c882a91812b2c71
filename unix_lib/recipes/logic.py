"""Logic versions: one integer per kind of job, raised when a change of code alters its results.

They stand together because the workflow's main process reads them without importing the stages, which
would import torch.
"""

LOGIC_VERSIONS: dict[str, int] = {
    "source.shapes": 1,
    "source.digits": 1,
    "source.image_folder": 1,
    "source.text": 1,
    "tokenizer.train_bpe": 1,
    "tokenizer.train_vqgan": 1,
    "tokenizer.pretrained": 1,
    "vocabulary": 1,
    "encode": 1,
    "pack": 2,
    "train": 1,
    "evaluate.lm_eval": 1,
    "evaluate.yes_no": 1,
    "evaluate.multiple_choice": 1,
    "evaluate.geneval": 3,
    "ceiling": 3,
    "analyze.conflict": 2,
    "analyze.entropy": 1,
    "figures": 3,
    "report": 2,
}
