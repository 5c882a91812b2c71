"""The project's own kinds of source, a line each."""

KINDS = {
    "shapes": "unix_lib.sources.shapes.kind",
    "digits": "unix_lib.sources.digits.kind",
    "image_folder": "unix_lib.sources.image_folder.kind",
    "text": "unix_lib.sources.text.kind",
}
