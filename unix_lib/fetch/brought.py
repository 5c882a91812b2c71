"""What is known of files that nothing downloads, since their owners give them, or no hash of them is known here.

Sizes are left out where no owner states them; licences are as the owners' pages on the hub have them.
"""

from dataclasses import dataclass

from unix_lib.config.hub import UNKNOWN_LICENCE
from unix_lib.config.needs import Need
from unix_lib.fetch.needs import Stated

VLMEVALKIT = "https://opencompass.openxlab.space/utils/VLMEval"


@dataclass(frozen=True)
class Brought(Stated):
    """One of them."""

    where: str = ""


# By the end of the path that the shipped configs have.
KNOWN = {
    "MME.tsv": Brought(UNKNOWN_LICENCE, where=f"{VLMEVALKIT}/MME.tsv"),
    "POPE.tsv": Brought(UNKNOWN_LICENCE, where=f"{VLMEVALKIT}/POPE.tsv"),
    "MMBench_DEV_EN.tsv": Brought("cc-by-4.0", where=f"{VLMEVALKIT}/MMBench_DEV_EN.tsv"),
    "SEEDBench_IMG.tsv": Brought("cc-by-nc-4.0", where=f"{VLMEVALKIT}/SEEDBench_IMG.tsv"),
    "dpg_bench.csv": Brought(UNKNOWN_LICENCE, where="https://github.com/TencentQQGYLab/ELLA, folder dpg_bench"),
    "chameleon/tokenizer": Brought("its owner's own", where="Meta, on request: vqgan.yaml and vqgan.ckpt of Chameleon"),
    "data/minigemini": Brought(
        UNKNOWN_LICENCE, where="the data sets that MiniGemini's authors list for MGM-Finetune, a folder each"
    ),
}


def brought(need: Need) -> Brought | None:
    """What is known of a file or folder that the user brings; None of one's own."""
    path = "" if need.local is None else f"/{need.local.as_posix()}"
    return next((known for end, known in KNOWN.items() if path.endswith(f"/{end}")), None)
