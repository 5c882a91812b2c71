"""The project's own kinds of judge, a line each."""

KINDS = {
    "scene_detector": "unix_lib.judges.scene_detector",
    "command": "unix_lib.judges.command",
    "endpoint": "unix_lib.judges.endpoint",
}
