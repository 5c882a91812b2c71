"""Pack one mixture's records into fixed-length sequences of tokens."""

from unix_lib.artefacts.command_line import run_script
from unix_lib.pack.make import make_pack

if __name__ == "__main__":
    run_script(make_pack, __doc__)
