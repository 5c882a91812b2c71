"""The project's own kinds of analysis, a line each."""

KINDS = {
    "conflict": "unix_lib.analyze.conflict_kind",
    "entropy": "unix_lib.analyze.entropy_kind",
}
