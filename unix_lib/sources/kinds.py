"""The project's own kinds of source, a line each."""

KINDS = {
    "shapes": "unix_lib.sources.shapes.kind",
    "digits": "unix_lib.sources.digits.kind",
    "image_folder": "unix_lib.sources.image_folder.kind",
    "finevision": "unix_lib.sources.finevision.kind",
    "image_pairs": "unix_lib.sources.image_pairs.kind",
    "webdataset": "unix_lib.sources.webdataset.kind",
    "jsonl": "unix_lib.sources.jsonl.kind",
    "text": "unix_lib.sources.text.kind",
    "conversations": "unix_lib.sources.conversations.kind",
}
