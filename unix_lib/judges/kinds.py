"""The project's own kinds of judge, a line each."""

KINDS = {
    "scene_detector": "unix_lib.judges.scene_detector",
    "mask2former": "unix_lib.judges.mask2former",
    "image_text": "unix_lib.judges.image_text",
    "command": "unix_lib.judges.command",
    "endpoint": "unix_lib.judges.endpoint",
}
