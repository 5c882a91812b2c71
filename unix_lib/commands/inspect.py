"""`inspect`: records, codes or packs as they are, in the terminal and as one page.

Records that are not made yet are shown of a sample, so that data can be looked at before anything runs.
"""

from pathlib import Path

from rich.console import Console

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import write_text
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.commands.made_source import made_source
from unix_lib.config.strict import nearest
from unix_lib.look.packs import Meanings, shown_packs
from unix_lib.look.page import page_of
from unix_lib.look.rehearsal import rehearsal
from unix_lib.look.samples import MadeSource, shown_codes, shown_records
from unix_lib.look.shown import Shown
from unix_lib.look.terminal import print_shown
from unix_lib.pack.reader import PackReader
from unix_lib.tokenizers.image import load_image_tokenizer
from unix_lib.tokenizers.text import load_text_tokenizer
from unix_lib.tokenizers.vocabulary import Vocabulary

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
    experiment, plan, results = planned.config, planned.plan, planned.results
    known = {"": experiment.with_records, "encode": experiment.sources_with_images(), "pack": list(experiment.mixtures)}
    if name not in known.get(stage, ()):
        things = [f"{stage}/{name}".removeprefix("/") for stage, names in known.items() for name in names]
        raise UserError(f"nothing to inspect is called '{what}'; {nearest(what, things)}")
    tokenizer = plan.tokenizer("image")
    if stage == "pack":
        folder = results / plan.pack(name)
        _require(planned, "pack", [folder])
        text = load_text_tokenizer(results / plan.text_tokenizer())
        vocabulary = Vocabulary.read(results / plan.named("tokenizers", "vocabulary"))
        decodes = tokenizer is not None and (results / tokenizer / MANIFEST).is_file()
        images = load_image_tokenizer(results / tokenizer) if tokenizer is not None and decodes else None
        return shown_packs(what, PackReader(folder), count, Meanings(text, vocabulary, images))
    source = made_source(planned, name)
    if stage == "encode":
        codes = [results / artefact for artefact in plan.codes(name)]
        if tokenizer is None or not codes:
            raise UserError(f"source '{name}' has no images that are encoded; inspect '{name}'")
        _require(planned, "encode", [*source.images, *codes])
        return shown_codes(what, source, count, load_image_tokenizer(results / tokenizer))
    if source.is_made:
        return shown_records(name, f"its first {count} records", source, count)
    if name not in experiment.sources:
        _require(planned, "translate", source.records)
    with rehearsal(experiment, results, max(2 * count, FEWEST)) as rehearsed:
        sampled = rehearsed.source(name)
        if not sampled.records:
            raise UserError(sampled.errors[0] if sampled.errors else f"source '{name}' has no usable sample")
        records, found = ([rehearsed.results / each for each in own] for own in (sampled.records, sampled.images))
        source = MadeSource(name, records, found, [], source.image_size)
        return shown_records(name, "a sample, since the source is not made yet", source, count)


def _require(planned: PlannedExperiment, stage: str, folders: list[Path]) -> None:
    for folder in folders:
        if not (folder / MANIFEST).is_file():
            raise UserError(
                f"{folder}: not made yet; run the workflow up to the {stage} stage first (target `data`), or inspect "
                f"a source of {planned.config.experiment}, which can be sampled before"
            )
