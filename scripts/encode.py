"""Encode one source's images into codes."""

from unix_lib.artefacts.command_line import run_script
from unix_lib.encode.make import make_encoding

if __name__ == "__main__":
    run_script(make_encoding, __doc__)
