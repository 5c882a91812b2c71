"""The project's own kinds of scorer, a line each."""

KINDS = {
    "lm_eval": "unix_lib.evaluate.scorers.lm_eval",
    "yes_no": "unix_lib.evaluate.scorers.yes_no",
    "multiple_choice": "unix_lib.evaluate.scorers.multiple_choice",
    "geneval": "unix_lib.evaluate.scorers.geneval",
    "dpg": "unix_lib.evaluate.scorers.dpg",
    "image_distance": "unix_lib.evaluate.scorers.image_distance",
    "caption_ranking": "unix_lib.evaluate.scorers.caption_ranking",
}
