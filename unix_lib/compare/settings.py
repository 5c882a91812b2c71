"""What two experiments were asked for differently: settings of recipes, and jobs that one of them does not have."""

from collections import defaultdict
from typing import Any

import pandas as pd

from unix_lib.compare.side import Side
from unix_lib.recipes.changes import changed_keys

COLUMNS = ["stage", "key", "a", "b", "jobs"]
LOGIC_VERSION, NAMED = "(logic version)", 3  # jobs named in a row
DRAWN = ("figures", "report")  # their settings are wordings


def settings_table(a: Side, b: Side) -> tuple[pd.DataFrame, list[str]]:
    """A row per key with the same two values: which jobs have them; jobs of one side alone have a row without a key.

    Where of one side only tables are left nothing is known of its settings, which is said.
    """
    if unknown := [f"{side.name}: its settings, which stand in its artefacts" for side in (a, b) if not side.recipes]:
        return pd.DataFrame(columns=COLUMNS), unknown
    rows: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for stage, name in dict.fromkeys([*a.recipes, *b.recipes]):
        if stage in DRAWN:
            continue
        one, other = a.recipes.get((stage, name)), b.recipes.get((stage, name))
        if one is None or other is None:
            rows[stage, "", "yes" if one else "no", "yes" if other else "no"].append(name)
            continue
        before, after = {"kind": one.kind} | one.settings, {"kind": other.kind} | other.settings
        for key in changed_keys(before, after):
            rows[stage, key, _value(before, key), _value(after, key)].append(name)
        if one.logic_version != other.logic_version:
            rows[stage, LOGIC_VERSION, str(one.logic_version), str(other.logic_version)].append(name)
    return pd.DataFrame([[*key, _named(names)] for key, names in rows.items()], columns=COLUMNS), []


def _value(settings: dict[str, Any], key: str) -> str:
    for part in key.split("."):
        settings = settings.get(part, {}) if isinstance(settings, dict) else {}
    return "" if settings == {} else str(settings)


def _named(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
