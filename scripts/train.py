"""Train one segment of a run, up to one checkpoint."""

from unix_lib.train.launch import end_with_launcher, launch_processes

if __name__ == "__main__":
    end_with_launcher()
    launch_processes()

    from unix_lib.jobs.command_line import run_script
    from unix_lib.train.processes import end_process

    run_script("train", __doc__)
    end_process()
