"""What the report shows of the data: samples of sources and packs, what they add up to, what a check finds in them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from unix_lib.artefacts.manifest import read_manifest
from unix_lib.figures.inputs import Inputs
from unix_lib.look.findings import Finding
from unix_lib.look.made_findings import of_made_source, of_rejected
from unix_lib.look.packs import Meanings, shown_packs
from unix_lib.look.samples import IMAGE_SIDE, MadeSource, shown_records
from unix_lib.look.shown import Shown
from unix_lib.look.source_findings import of_fidelity
from unix_lib.look.statistics import (
    SourceStatistics,
    set_aside_of,
    source_statistics,
    spread_documents,
    tokens_by_source,
)
from unix_lib.look.token_findings import of_documents, told_of
from unix_lib.look.totals import shown_mixture, source_table
from unix_lib.pack.reader import PackReader
from unix_lib.tokenizers.image import ImageTokenizer, load_image_tokenizer
from unix_lib.tokenizers.text import load_text_tokenizer
from unix_lib.tokenizers.vocabulary import Vocabulary

RECORDS, PACKS = 3, 3  # of a source, of a mixture
CHARACTERS = 400  # of a text on the page
ORDER = ("wrong", "look", "open", "ok")


@dataclass
class DataOnPage:
    """What is made of the data, as the page shows it."""

    findings: list[Finding] = field(default_factory=list)
    samples: list[Shown] = field(default_factory=list)
    packs: list[Shown] = field(default_factory=list)
    totals: list[Shown] = field(default_factory=list)  # of all sources, then of each mixture


def data_on_page(inputs: Inputs) -> DataOnPage:
    """Of the sources and mixtures that the report has, the worst finding first."""
    page = DataOnPage()
    image_tokenizers = inputs.folders("image_tokenizer")
    decoder = load_image_tokenizer(image_tokenizers[0]) if image_tokenizers else None
    size = IMAGE_SIDE if decoder is None else decoder.image_size
    images, codes = inputs.roles("images"), inputs.roles("codes")
    sources = [
        MadeSource(name, records, images.get(name, []), codes.get(name, []), size)
        for name, records in inputs.roles("records").items()
    ]
    statistics = {source.name: source_statistics(source) for source in sources}
    page.totals.append(Shown("Sources in numbers", "", tables=[source_table(statistics)]))
    for source in sources:
        page.findings += of_made_source(source, statistics[source.name])
        lead = f"Its first {RECORDS} records" + ", images beside what comes back of their codes" * bool(source.codes)
        page.samples.append(shown_records(source.name, lead, source, RECORDS, decoder).shortened(CHARACTERS))
    page.findings += _fidelity(inputs)
    for folder in inputs.folders("vocabulary"):
        page.findings.append(Finding("ok", "tokenizers", told_of(Vocabulary.read(folder))))
    for mixture, [folder] in inputs.roles("pack").items():
        _add_mixture(page, mixture, folder, inputs, decoder, statistics)
    page.findings.sort(key=lambda finding: ORDER.index(finding.level))
    return page


def _add_mixture(  # noqa: PLR0917
    page: DataOnPage,
    mixture: str,
    folder: Path,
    inputs: Inputs,
    decoder: ImageTokenizer | None,
    statistics: dict[str, SourceStatistics],
) -> None:
    reader, where = PackReader(folder), f"pack.mixtures.{mixture}"
    [text], [vocabulary] = inputs.folders("text_tokenizer"), map(Vocabulary.read, inputs.folders("vocabulary"))
    meanings = Meanings(load_text_tokenizer(text), vocabulary, decoder)
    documents = list(spread_documents(reader))
    kept = sum(statistics[source].records for source in tokens_by_source(read_manifest(folder)))
    page.findings.append(of_rejected(where, set_aside_of(folder), kept))
    special = set(meanings.text.added_tokens_decoder)
    page.findings += of_documents(where, documents, reader.pack_length, vocabulary, special)
    totals = shown_mixture(f"Mixture {mixture} in numbers", reader, documents)
    page.totals.append(totals)
    page.packs.append(shown_packs(mixture, reader, PACKS, meanings).shortened(CHARACTERS))


def _fidelity(inputs: Inputs) -> Iterator[Finding]:
    """How well each source's images come back, by the analysis of all experiments."""
    table = inputs.table("reconstructions", "reconstructions.parquet")
    for source, psnr_db in table.groupby("source", sort=False).psnr_db if len(table) else ():
        yield of_fidelity(f"sources.{source}", len(psnr_db), float(psnr_db.mean()))
