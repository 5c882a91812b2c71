"""`analyze conflict`: the gradient conflict of any checkpoint on any pack of its vocabulary."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pydantic import ValidationError
from rich.console import Console

from unix_lib.analyze.conflict_kind import ConflictMeasurement
from unix_lib.analyze.conflict_of_checkpoint import conflict_of_checkpoint
from unix_lib.analyze.errors import AnalysisError
from unix_lib.artefacts.files import digest_of, sha256_of
from unix_lib.artefacts.manifest import MANIFEST, open_artefact
from unix_lib.checkpoints.open import checkpoint_folder, usable
from unix_lib.config.jobs import JobShape
from unix_lib.config.strict import ConfigError
from unix_lib.evaluate.tables import Origin, origin_of
from unix_lib.figures.gradient_conflict import drawn
from unix_lib.figures.style import save
from unix_lib.models.checkpoint import require_vocabulary
from unix_lib.models.configuration import ModelError, UnixConfig
from unix_lib.pack.sequences import FixedParts

RESULTS = Path("results/analyzed")


def measurement(given: dict[str, Any]) -> ConflictMeasurement:
    """The settings of a measurement, as a config would have them.

    Raises:
        ConfigError: says which of them can't be.
    """
    try:
        return ConflictMeasurement.model_validate(given)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ConfigError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}".removeprefix(": ")) from None


def conflict(  # noqa: PLR0917
    checkpoint: Path,
    pack: Path,
    settings: ConflictMeasurement,
    threads: int,
    device: str,
    output: Path | None,
    console: Console,
) -> int:
    """Measure, and write `conflict.csv`, `.png` and `.pdf`, with the parquet tables of the analysis beside them.

    Raises:
        UserError: no checkpoint or pack there, a model of text alone, or one of another vocabulary than the pack.
    """
    model, whose = _model(checkpoint)
    open_artefact(pack)
    config = _config(model)
    require_vocabulary(config, FixedParts.read(pack).vocabulary, f"{model}, held against the pack {pack.name}")
    folder = output or RESULTS / f"{checkpoint.resolve().name}-{pack.resolve().name}"
    torch.set_num_threads(threads)
    shape = JobShape(threads=threads, gpus=int(usable(device) == "cuda"))
    weights = sorted(model.glob("*.safetensors"))
    known = [settings.semantic(), str(pack.resolve()), [sha256_of(path) for path in weights]]
    work = folder / "work" / digest_of(known)[:12]
    measured = conflict_of_checkpoint(model, pack, settings, shape, work)
    origin = vars(whose or Origin(run=checkpoint.resolve().name, architecture=config.architecture))
    tables = {"conflict": measured.table, "precision": measured.precision}
    frames = {name: pd.DataFrame() if one is None else one.to_pandas().assign(**origin) for name, one in tables.items()}
    table = frames["conflict"].assign(documents=measured.facts["documents_per_modality"])
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        if len(frame):
            frame.to_parquet(folder / f"{name}.parquet")
    said = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in measured.facts.items())
    save(drawn(table, frames["precision"]), folder, "conflict", f"{origin['run']} on {pack.resolve().name}: {said}", [])
    if work.exists():
        shutil.rmtree(work)
    reached = settings.reliability is None or measured.facts["reliability"] >= settings.reliability
    fault = "" if reached else "; less reliable than asked, raise --documents or read the intervals"
    console.print(f"{folder / 'conflict.csv'} and .png: {said}{fault}", soft_wrap=True)
    return 0 if reached else 1


def _model(folder: Path) -> tuple[Path, Origin | None]:
    """The folder of the weights, and whose they are where that is known."""
    plain = (folder / "config.json").is_file() and not (folder.resolve().parent / MANIFEST).is_file()
    if plain:
        return folder, None
    artefact = checkpoint_folder(folder)
    try:
        return artefact / "model", origin_of(artefact)
    except KeyError:
        return artefact / "model", None


def _config(model: Path) -> UnixConfig:
    """The model's config, of a model that images taught something.

    Raises:
        ModelError: none there. AnalysisError: a model of text.
    """
    try:
        kind = json.loads((model / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        raise ModelError(f"{model / 'config.json'}: not readable; give the `model` folder of a checkpoint") from None
    remedy = "give one that was trained on images, or what `unix-lib import` makes of a published one"
    if kind != UnixConfig.model_type:
        raise AnalysisError(f"{model}: a '{kind}' has no image codes, so no image gradients to compare; {remedy}")
    log = model.parent / "log.parquet"
    if log.is_file() and pd.read_parquet(log, columns=["loss_image"]).loss_image.isna().all():
        raise AnalysisError(f"{model.parent.name}: was trained on text alone; {remedy}")
    config: UnixConfig = UnixConfig.from_pretrained(model)
    return config
