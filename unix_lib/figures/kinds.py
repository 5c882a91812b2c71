"""The project's own figures and tables, in the order of the report."""

from typing import Any

from unix_lib.config.figures import FigureKind, FigurePart

DOSES = ("evaluations", "checkpoints", "conflict", "entropy")


def _figure(
    name: str,
    part: FigurePart,
    title: str,
    how_to_read: str,
    *reads: str,
    logic_version: int = 6,
    **others: Any,
) -> tuple[str, FigureKind]:
    """A figure whose module in this package has its name and a `draw`."""
    kind = FigureKind(
        draw=f"unix_lib.figures.{name}:draw",
        logic_version=logic_version,
        reads=reads,
        title=title,
        how_to_read=how_to_read,
        part=part,
        **others,
    )
    return name, kind


KINDS = dict(
    [
        _figure(
            "claims",
            "more",
            "Claims of the paper",
            "",
            *("evaluations", "checkpoints", "conflict", "entropy"),
            also_reads=("ceilings",),
            logic_version=10,
        ),
        _figure(
            "dose_response",
            "mechanism",
            "Dose and response",
            "Each colour is a dose: training data whose image codes are so many bits harder (right) or easier (left) "
            "to predict than the text. If the paper is right, conflict and Uni-X's advantage rise to the right. Small "
            "points are seeds, bars 95% intervals over them.",
            *DOSES,
            logic_version=4,
            only_named=True,
        ),
        _figure(
            "dose_outcomes",
            "effect",
            "What the doses decide",
            "The primary outcome was declared before anything ran; all else is second to it.",
            *DOSES,
            also_reads=("document_losses",),
            logic_version=4,
            only_named=True,
        ),
        _figure(
            "power_spectrum",
            "premise",
            "How natural the images are",
            "How the power of an image falls with frequency: in photographs with about its square. Images of like "
            "exponents have edges at as many scales.",
            "power_spectrum",
            logic_version=2,
        ),
        _figure(
            "generated_samples",
            "effect",
            "What the models draw",
            "Each row is a checkpoint, each column a description that no model saw in training. A green frame "
            "means that an automatic detector found what the description asks for.",
            *("evaluations", "images"),
        ),
        _figure(
            "caption_samples",
            "effect",
            "Captions of your own data, drawn",
            "Captions of each source that no model was trained on, taken by chance. Each row has the image that a "
            "caption belongs to, what its codes give back, with PSNR in decibels (no model that speaks in these codes "
            "can draw better), and what each model draws of the caption alone. Nothing here is scored.",
            "caption_samples",
        ),
        _figure(
            "scores_over_tokens",
            "effect",
            "Scores during training",
            "Higher is better; bars are 95% intervals. A line must rise above the dotted level, a blind guesser, "
            "and the dashed one, the same images held against other descriptions (a mean of the tasks that have "
            "several), to show that anything was learned.",
            "evaluations",
            also_reads=("ceilings",),
        ),
        _figure(
            "table3_architectures",
            "effect",
            "The architectures compared",
            "The paper's question: which architecture makes most of the same data? Upper rows are published, "
            "lower rows measured here, on the families of benchmarks that this experiment has: only rows of one "
            "block compare.",
            *("evaluations", "checkpoints"),
            logic_version=7,
        ),
        _figure(
            "influence",
            "effect",
            "What hangs by one request",
            "How far the difference between Uni-X and another architecture moves when one held-out request is left "
            "out, in half-widths of its 95% interval. Where few are held out, one of them may carry a verdict.",
            *("evaluations", "checkpoints"),
            logic_version=1,
        ),
        _figure(
            "reconstructions",
            "data",
            "What the image tokenizer leaves of the images",
            "Held-out images of each source, drawn by chance, above what the image tokenizer makes of their codes: no "
            "model that speaks in these codes can draw better. PSNR is measured in decibels, and six more halve the "
            "error; a source that uses few codes has images that look alike to the models.",
            "reconstructions",
        ),
        _figure(
            "text_cost",
            "data",
            "What a character costs",
            "Tokens per character of held-out texts, by source and script. A script that the text tokenizer never "
            "learned from is spelled out byte by byte, which fills packs with spelling: a bar in red says so.",
            "text_cost",
        ),
        _figure(
            "gradient_conflict",
            "mechanism",
            "Where text and images disagree",
            "The higher the curve, the more text and images pull the same weights in different directions, but "
            "also the less noisy the gradients are: the noise-corrected values tell the two apart. Bands are one "
            "standard deviation over random splits of the documents, checkpoints and seeds. The paper expects a U "
            "over depth, and for Uni-X lower values in the layers it shares.",
            "conflict",
        ),
        _figure(
            "conditional_entropy",
            "premise",
            "How predictable text and image tokens are",
            "How many bits of surprise remain about the next token once the tokens before it are known. The paper "
            "finds image tokens harder to predict than text; hollow points rest on a sample too small to tell.",
            "entropy",
            logic_version=7,
        ),
        _figure(
            "loss_curves",
            "effect",
            "Losses during training",
            "Lower is better. Lines follow training, markers data held back from it; a gap between them would "
            "mean learning by heart.",
            "checkpoints",
        ),
        _figure(
            "heldout_loss",
            "effect",
            "Held-out loss of each source",
            "Lower is better: nats per token that a model did not see in training, of each source's text and images. "
            "Only losses of the same tokens compare: those of one source and modality.",
            "heldout_loss",
        ),
        _figure(
            "outcomes",
            "effect",
            "What claims 3 and 4 could decide",
            "Two outcomes, declared apart and never mixed: the conflict or the score that a claim is about, and the "
            "loss on held-out documents, paired by document and seed, which has a fraction of the scores' noise. "
            "Detectable is the smallest true difference that such an experiment decides in four of five repetitions.",
            "document_losses",
            also_reads=("evaluations", "conflict", "checkpoints"),
            logic_version=3,
        ),
        _figure(
            "table1_text",
            "effect",
            "Text benchmarks",
            "Published models in the first block, this experiment's below. Scores on questions that an experiment "
            "made itself stand in a block of their own and compare with each other only.",
            "evaluations",
        ),
        _figure(
            "table2_multimodal",
            "effect",
            "Image generation and understanding",
            "Published models in the first block, this experiment's below. Scores on questions and prompts that "
            "an experiment made itself stand in a block of their own and compare with each other only.",
            "evaluations",
        ),
        _figure(
            "table4_splits",
            "effect",
            "Where to cut Uni-X",
            "How many shallow and deep layers each modality gets for itself; needs several splits to say anything.",
            "evaluations",
            logic_version=7,
        ),
    ]
)
