"""Make one source's records."""

from unix_lib.artefacts.command_line import run_script
from unix_lib.sources.make import make_source

if __name__ == "__main__":
    run_script(make_source, __doc__)
