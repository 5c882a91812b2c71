"""`inspect`: records, codes or packs as they are, in the terminal and as one page.

Records that are not made yet are shown of a sample, so that data can be looked at before anything runs.
"""

from pathlib import Path

from rich.console import Console

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import write_text
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.config.experiment import Experiment
from unix_lib.config.strict import nearest
from unix_lib.look.packs import Meanings, shown_packs
from unix_lib.look.page import page_of
from unix_lib.look.rehearsal import rehearsal
from unix_lib.look.samples import Looked, shown_codes, shown_records
from unix_lib.look.shown import Shown
from unix_lib.look.terminal import print_shown
from unix_lib.pack.reader import PackReader
from unix_lib.tokenizers.image import load_image_tokenizer
from unix_lib.tokenizers.text import load_text_tokenizer
from unix_lib.tokenizers.vocabulary import Vocabulary

IMAGE_SIDE = 256  # pixels, where the config says no size
FEWEST = 16  # samples that are asked for, since some are set aside


def run(config: Path, what: str, count: int, html: Path | None, console: Console) -> int:
    """Print what was asked for and, with `html`, write it to a page."""
    planned = PlannedExperiment.load(config)
    shown = _shown(planned, what, count)
    print_shown(shown, console)
    if html is not None:
        write_text(html, page_of(shown))
        console.print(f"{html} shows it too", highlight=False)
    return 0


def _shown(planned: PlannedExperiment, what: str, count: int) -> Shown:
    stage, _, name = what.rpartition("/")
    experiment, plan = planned.config, planned.plan
    known = list(experiment.mixtures if stage == "pack" else experiment.sources)
    if stage not in ("", "encode", "pack") or name not in known:
        things = [*experiment.sources, *(f"encode/{source}" for source in experiment.sources_with_images())]
        things += [f"pack/{mixture}" for mixture in experiment.mixtures]
        raise UserError(f"nothing to inspect is called '{what}'; {nearest(what, things)}")
    if stage == "pack":
        folder, made = planned.results / plan.pack(name), planned.results / plan.named("tokenizers", "image")
        _require(planned, "pack", [folder])
        text = load_text_tokenizer(planned.results / plan.text_tokenizer())
        vocabulary = Vocabulary.read(planned.results / plan.named("tokenizers", "vocabulary"))
        tokenizer = load_image_tokenizer(made) if (made / MANIFEST).is_file() else None
        return shown_packs(what, PackReader(folder), count, Meanings(text, vocabulary, tokenizer))
    images = [planned.results / artefact for artefact in plan.images(name)]
    if stage == "encode":
        codes = [planned.results / artefact for artefact in plan.codes(name)]
        if not codes:
            raise UserError(f"source '{name}' has no images that are encoded; inspect '{name}'")
        _require(planned, "encode", [*images, *codes])
        tokenizer = load_image_tokenizer(planned.results / plan.named("tokenizers", "image"))
        return shown_codes(what, Looked(codes, images, image_size(experiment)), count, tokenizer)
    records = [planned.results / artefact for artefact in plan.records(name)]
    if all((folder / MANIFEST).is_file() for folder in [*records, *images]):
        looked = Looked(records, images, image_size(experiment))
        return shown_records(name, f"its first {count} records", looked, count)
    with rehearsal(experiment, planned.results, max(2 * count, FEWEST)) as rehearsed:
        source = rehearsed.source(name)
        if not source.records:
            raise UserError(source.errors[0] if source.errors else f"source '{name}' has no usable sample")
        records, images = ([rehearsed.results / each for each in own] for own in (source.records, source.images))
        looked = Looked(records, images, image_size(experiment))
        return shown_records(name, "a sample, since the source is not made yet", looked, count)


def image_size(experiment: Experiment) -> int:
    """Pixels of a side that images come to."""
    tokenizer = experiment.tokenizers.image
    return IMAGE_SIDE if tokenizer is None else tokenizer.shape.image_size


def _require(planned: PlannedExperiment, stage: str, folders: list[Path]) -> None:
    for folder in folders:
        if not (folder / MANIFEST).is_file():
            raise UserError(
                f"{folder}: not made yet; run the workflow up to the {stage} stage first (target `data`), or inspect "
                f"a source of {planned.config.experiment}, which can be sampled before"
            )
