"""Train one segment of a run, up to one checkpoint."""

from unix_lib.train.launch import launch_processes

if __name__ == "__main__":
    launch_processes()

    from unix_lib.artefacts.command_line import run_script
    from unix_lib.train.make import make_checkpoint

    run_script(make_checkpoint, __doc__)
