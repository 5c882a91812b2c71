"""`inspect` and `stats` show what is made, and say what is not."""

import io
import re
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from tests.look.made import CONFIG, made
from tests.look.small import CODES, SIDE
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.commands import inspect, stats
from unix_lib.recipes.plan import Plan

__all__ = ["made"]


def printed(command: object, *arguments: object) -> str:
    file = io.StringIO()
    assert command(CONFIG, *arguments, Console(file=file, width=300, markup=False)) == 0  # type: ignore[operator]
    return file.getvalue()


def test_records_are_shown_with_their_images(made: Plan) -> None:
    text = printed(inspect.run, "photos", 3, Path("photos.html"))
    assert "its first 3 records" in text and text.count(f"[{SIDE} x {SIDE} image]") == 3
    assert len(re.findall(r"text: pattern number \d+", text)) == 3
    page = Path("photos.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3 and all(line in page for line in re.findall("pattern .*", text))


def test_codes_are_shown_beside_what_they_decode_to(made: Plan) -> None:
    text = printed(inspect.run, "encode/talks", 4, None)
    assert (
        text.count(f"codes {CODES}, ")
        == text.count(" image]")
        == len(re.findall(r"from its codes, \d+\.\d dB]", text))
        == 4
    )


def test_packs_are_shown(made: Plan) -> None:
    text = printed(inspect.run, "pack/mixed", 2, None)
    assert text.count("of 128") == text.count("one document of it: ") == 2 and "{" in text


def test_what_is_not_known_or_not_encoded_is_said(made: Plan) -> None:
    with pytest.raises(UserError, match=r"nothing to inspect is called 'phots'.*photos"):
        printed(inspect.run, "phots", 3, None)
    with pytest.raises(UserError, match="nothing to inspect is called 'encode/mixed'"):
        printed(inspect.run, "encode/mixed", 3, None)


def test_stats_are_those_of_the_manifests(made: Plan) -> None:
    text = printed(stats.run)
    assert re.search(r"talks +│ +20 │ conversation 100% ", text) and re.search(r"photos │ +20 │ image text 100% ", text)
    epoch = read_manifest(Path("results/small", made.pack("mixed"))).facts["files"]["epoch-000.arrow"]["parts"]["talks"]
    counts = " │ +".join(str(epoch[name]) for name in ("documents", "text_tokens", "image_tokens", "trained_tokens"))
    assert re.search(f"talks +│ +{counts} │", text)
    assert "Not made yet" not in text
    bars = re.findall(r"image conversation: tokens of (\d+) documents\n((?: +\d+ to .*\n)+)", text)
    [(documents, lines)] = bars
    assert sum(int(line.split()[3]) for line in lines.splitlines()) == int(documents) == epoch["documents"]


def test_what_is_not_made_is_named_and_a_source_is_sampled(made: Plan) -> None:
    for artefact in (made.pack("mixed"), *made.records("photos")):
        shutil.rmtree(Path("results/small", artefact))
    text = printed(stats.run)
    assert "Not made yet, and so not counted: photos, pack/mixed" in text and "talks" in text
    assert "a sample, since the source is not made yet" in printed(inspect.run, "photos", 2, None)
    with pytest.raises(UserError, match="not made yet; run the workflow up to the pack stage"):
        printed(inspect.run, "pack/mixed", 2, None)
