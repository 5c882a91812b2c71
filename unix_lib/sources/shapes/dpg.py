"""Asks about held-out prompts as DPG-Bench does: yes/no questions that build on each other, in its authors' layout."""

import csv
import io
from collections.abc import Sequence
from itertools import islice

from unix_lib.sources.shapes.captions import Claim, plural
from unix_lib.sources.shapes.combinations import COUNTS

COLUMNS = (
    *("item_id", "text", "keywords", "proposition_id", "dependency", "category_broad", "category_detailed", "tuple"),
    "question_natural_language",
)


def dpg_rows(claims: Sequence[Claim], count: int) -> list[dict[str, str]]:
    """A row a question of the first `count` different prompts, those with most questions first."""
    distinct = {claim.prompt: claim for claim in claims}
    asked = [(claim, _propositions(claim)) for claim in distinct.values()]
    asked.sort(key=lambda each: -len(each[1]))
    rows = []
    for index, (claim, propositions) in enumerate(islice(asked, count)):
        for number, (category, words, parents, question) in enumerate(propositions, start=1):
            broad, _, detailed = category.partition(" - ")
            values = (
                *(f"shapes{index}", claim.prompt if number == 1 else "", "", str(number)),
                *(",".join(map(str, parents)) or "0", broad, detailed, f"{category} ({words})", question),
            )
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def _propositions(claim: Claim) -> list[tuple[str, str, list[int], str]]:
    """Category, words of the tuple, parents and question of what a claim says; sizes are not asked about."""
    found: list[tuple[str, str, list[int], str]] = []
    entities: list[int] = []
    for clause in claim.clauses:
        shape = clause.shape
        found.append(("entity - whole", shape, [], f"Is there a {shape}?"))
        entities.append(len(found))
        if clause.count > 1:
            word = {count: word for word, count in COUNTS.items()}[clause.count]
            question = f"Are there {word} {plural(shape)}?"
            found.append(("other - count", f"{shape}, {clause.count}", [entities[-1]], question))
        if clause.color is not None:
            article = "an" if clause.color[0] in "aeiou" else "a"
            question = f"Is there {article} {clause.color} {shape}?"
            found.append(("attribute - color", f"{shape}, {clause.color}", [entities[-1]], question))
        if clause.relation is not None:
            target = claim.clauses[0].shape
            question = f"Is the {shape} {clause.relation} the {target}?"
            parents = [entities[0], entities[-1]]
            found.append(("relation - spatial", f"{shape}, {target}, {clause.relation}", parents, question))
    return found


def as_csv(rows: Sequence[dict[str, str]]) -> str:
    """The text of a file of these rows."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
