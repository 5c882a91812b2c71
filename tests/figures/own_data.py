"""Made-up tables of what a config's own data are: images behind their tokenizer, costs of texts."""

import numpy as np
import pandas as pd

from tests.images.pictures import png


def reconstructions(images: int = 12, shown: int = 4) -> dict[str, pd.DataFrame]:
    """Two sources whose images are measured, and one that has nothing but codes."""
    rng = np.random.default_rng(1)
    rows = [
        {
            "source": source,
            "split": split,
            "image_id": f"{source}-{number}",
            "psnr_db": psnr + rng.normal(),
            "original": png(rng.integers(0, 255, (3, 32, 32), np.uint8)) if number < shown else None,
            "reconstruction": png(rng.integers(0, 255, (3, 32, 32), np.uint8)) if number < shown else None,
        }
        for source, split, psnr in (("photos", "heldout", 21.0), ("scans", "train", 30.0))
        for number in range(images)
    ]
    used = [("photos", "heldout", 40, 150, 90.0), ("scans", "train", 12, 60, 22.0), ("codes", "heldout", 9, 192, 180.0)]
    columns = ["source", "split", "images", "codes_used", "code_perplexity"]
    codebook = pd.DataFrame(used, columns=columns).assign(codebook_size=192)
    return {"reconstructions.parquet": pd.DataFrame(rows), "codebook.parquet": codebook}


def text_cost() -> dict[str, pd.DataFrame]:
    """A source in two scripts, one of them spelled out, and a single text of another source."""
    rows = [
        ("photos", "Latin", 30, 1200, 480, 0.01, False, False),
        ("photos", "Han", 20, 300, 888, 0.02, False, True),
        ("prose", "Latin", 1, 90, 45, None, True, False),
    ]
    columns = ["source", "script", "texts", "characters", "tokens", "standard_error", "learned_from", "costly"]
    table = pd.DataFrame(rows, columns=columns).assign(split="heldout")
    table = table.assign(tokens_per_character=table.tokens / table.characters)
    return {"text_cost.parquet": table.astype({"standard_error": float, "learned_from": object})}


def heldout_loss(architectures: dict[str, str], seed: int) -> dict[str, pd.DataFrame]:
    """Two checkpoints of each architecture, on a source with both modalities and one of a single held-out document."""
    rows = [
        (run, step, architecture, source, modality, loss / (1 + step / 400) + 0.02 * place, error, documents)
        for place, (run, architecture) in enumerate(architectures.items())
        for step in (200, 400)
        for source, modality, loss, error, documents in (
            ("photos", "text", 4.0, 0.1, 30),
            ("photos", "image", 5.0, 0.05, 90),
            ("prose", "text", 6.0, None, 1),
        )
    ]
    columns = ["run", "step", "architecture", "source", "modality", "loss", "standard_error", "documents"]
    table = pd.DataFrame(rows, columns=columns).assign(seed=seed)
    table = table.assign(tokens=table.step * 2000, targets=table.documents * 20)
    return {"heldout_loss.parquet": table.astype({"standard_error": float})}


def document_losses(
    architectures: dict[str, str], seeds: tuple[int, ...], better: dict[str, float] | None = None
) -> dict[str, pd.DataFrame]:
    """Two checkpoints of each run on documents with and without images; losses are lower by `better` a target."""
    better = {"unix": 0.02} if better is None else better
    documents = np.random.default_rng(3).normal(4, 0.5, (40, 2))
    rows = []
    for name, architecture in architectures.items():
        for seed in seeds:
            noise = np.random.default_rng([seed, sum(name.encode())]).normal(0, 0.002, (2, *documents.shape))
            for place, step in enumerate((200, 400)):
                losses = documents / (1 + step / 400) + noise[place] - better.get(name, 0.0)
                rows += [
                    {
                        "run": name if len(seeds) == 1 else f"{name}-seed{seed}",
                        "step": step,
                        "tokens": step * 2000,
                        "architecture": architecture,
                    }
                    | {"seed": seed, "source": "photos" if number % 2 else "prose", "document": f"{number}"}
                    | {"loss_text": 20 * text, "targets_text": 20}
                    | {"loss_image": 64 * image * (number % 2), "targets_image": 64 * (number % 2)}
                    for number, (text, image) in enumerate(losses)
                ]
    return {"document_losses.parquet": pd.DataFrame(rows)}


def caption_samples(architectures: dict[str, str], seed: int) -> dict[str, pd.DataFrame]:
    """Captions of a source with images, one in a script that the font lacks, and of one that has nothing but codes."""
    rng = np.random.default_rng(2)

    def picture() -> bytes:
        return png(rng.integers(0, 255, (3, 32, 32), np.uint8))

    captions = [
        ("photos", "A red circle that costs $5 & a $6 one.\n"),
        ("photos", "一只红色的猫"),
        ("codes", "words " * 90),
    ]
    rows = []
    for number, (source, caption) in enumerate(captions):
        of_image = {"original": picture() if source == "photos" else None, "reconstruction": picture()}
        of_image |= {"psnr_db": 21.5 if source == "photos" else None, "split": "heldout" if number else "train"}
        rows += [
            {"run": run, "architecture": architecture, "source": source, "caption": caption, "generated": picture()}
            | {"sample_id": f"{number}", "image_id": f"image-{number}"}
            | of_image
            for run, architecture in architectures.items()
        ]
    table = pd.DataFrame(rows).assign(step=400, tokens=800_000, seed=seed)
    return {"caption_samples.parquet": table.astype({"psnr_db": float})}


def power_spectrum() -> dict[str, pd.DataFrame]:
    """Two sources, in another order than their numbers', and a photograph; power falls by known exponents."""
    rows = [
        {"source": source, "photograph": photograph, "images": 9, "frequency": cycles, "power": cycles**-fall / 2}
        for source, photograph, fall in (("leaves-100", False, 2.0), ("leaves-30", False, 3.0), ("china", True, 2.5))
        for cycles in range(1, 17)
    ]
    return {"power_spectrum.parquet": pd.DataFrame(rows)}
