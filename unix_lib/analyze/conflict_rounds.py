"""Measures conflict in rounds of documents until the gradients are reliable, and goes on where a killed job stopped.

After each round the chunks' summed gradients are sealed in the job's work folder, 2 x chunks gradients of all measured
weights: nothing of a finished round is computed again. Rounds, and so results, do not depend on when a job was killed.
"""

import logging
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from unix_lib.analyze.conflict import groups_of, inner_products, products_of, projections_of
from unix_lib.analyze.conflict_cosines import Product, Projection, cosine, split_groups
from unix_lib.analyze.conflict_documents import Chunks
from unix_lib.analyze.conflict_kind import ConflictMeasurement
from unix_lib.artefacts.saves import prune_saves, save_folder, saves
from unix_lib.artefacts.sealed import is_whole, sealed_folder
from unix_lib.models import UnixForCausalLM

logger = logging.getLogger(__name__)

Products = list[tuple[Projection, Product | None]]


def measured_in_rounds(
    model: UnixForCausalLM, rounds: Iterable[Chunks], settings: ConflictMeasurement, memory: int, work: Path
) -> tuple[Products, int, float]:
    """Inner products after as many rounds as the reliability asks for, how many these were, and how reliable they are.

    Without rounds there are no products.
    """
    wanted = settings.reliability or 0.0
    done, products = _resumed(model, settings, memory, work)
    reliability, started = _reliability(products, settings), time.monotonic()
    for number, chunks in enumerate(rounds, start=1):
        if number <= done:
            continue
        if reliability >= wanted:
            break
        with sealed_folder(save_folder(work, number)) as folder:
            sums = _Sums(save_folder(work, done) if done else None, folder)
            products = list(inner_products(model, chunks, memory, breakdown=settings.breakdown, add=sums.add))
        prune_saves(work, number)
        done, reliability = number, _reliability(products, settings)
        took = (time.monotonic() - started) / number
        logger.info("round %d: reliability %.3f of %.3f, %.1f s a round", number, reliability, wanted, took)
        if number == 1:
            _say_what_it_takes(reliability, wanted, settings)
    documents = done * settings.round_documents
    if done and reliability < wanted and documents + settings.round_documents <= settings.documents:
        logger.warning(
            "after %d documents per modality there are no %d more of both in %s of the mixture: the reliability "
            "stays at %.3f of %.3f; a larger share of the scarcer modality%s would bring more",
            documents,
            settings.round_documents,
            "the epochs" if settings.every_epoch else "an epoch",
            reliability,
            wanted,
            "" if settings.every_epoch else ", or `every_epoch`,",
        )
    return products, done, reliability


def _say_what_it_takes(reliability: float, wanted: float, settings: ConflictMeasurement) -> None:
    """Warn of more documents than are allowed, as far as a first round can tell how many it takes (Spearman, Brown)."""
    rounds = wanted / (1 - wanted) * (1 - reliability) / reliability if reliability > 0 else float("inf")
    if rounds * settings.round_documents > settings.documents:
        logger.warning(
            "a reliability of %.2f would take about %.0f documents per modality as this round looks (%.3f), and at "
            "most %d are allowed; raise `documents`, or expect wide intervals",
            wanted,
            rounds * settings.round_documents,
            reliability,
            settings.documents,
        )


def _reliability(products: Products, settings: ConflictMeasurement) -> float:
    """The lowest over layers, of the means over projections and splits of S_text and S_image; 0 without any."""
    groups = split_groups(settings.chunks, settings.splits, settings.seed)
    of_layer: dict[int, list[tuple[float, float]]] = {}
    for projection, product in products:
        if product is not None and not projection.part:
            for text, image, _, _, other_text, other_image in groups:
                cosines = cosine(product, text, other_text), cosine(product, image, other_image)
                of_layer.setdefault(projection.layer, []).append(cosines)
    return min((float(np.mean(cosines, axis=0).min()) for cosines in of_layer.values()), default=0.0)


def _resumed(model: UnixForCausalLM, settings: ConflictMeasurement, memory: int, work: Path) -> tuple[int, Products]:
    """The newest whole round's number, and the products after it."""
    for number, folder in saves(work):
        if is_whole(folder):
            logger.info("%d rounds were already there", number)
            head_dim, products = model.config.head_dim if settings.breakdown else None, Products()
            for group in groups_of(
                projections_of(model, breakdown=settings.breakdown), memory // (2 * settings.chunks)
            ):
                shared = [projection for projection in group if projection.weight is not None]
                products += products_of(group, dict(zip(shared, _stored(folder, shared), strict=True)), head_dim)
            return number, products
    return 0, []


def _stored(folder: Path, projections: list[Projection]) -> list[Tensor]:
    """The sums of some projections in a round's folder, in whichever of its files."""
    found: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            found |= {name: file.get_tensor(name) for name in set(map(_key, projections)) & set(file.keys())}
    return [found[_key(projection)] for projection in projections]


class _Sums:
    """Gradients of all rounds so far: read from the last round's folder, written into the new one's."""

    def __init__(self, before: Path | None, after: Path) -> None:
        self._before, self._after, self._files = before, after, 0

    def add(self, projections: list[Projection], rows: list[Tensor]) -> list[Tensor]:
        """Add a round's gradients to those of the rounds before, and keep the sums."""
        if self._before is not None:
            rows = [row.add_(sums) for row, sums in zip(rows, _stored(self._before, projections), strict=True)]
        if projections:
            self._files += 1
            save_file(
                dict(zip(map(_key, projections), rows, strict=True)), self._after / f"{self._files:03d}.safetensors"
            )
        return rows


def _key(projection: Projection) -> str:
    return f"{projection.layer}/{projection.name}"
