"""Runs at the start of every Python process of a case: notes what a job does, and kills it when it was told to.

`TORTURE_EVENTS` names a file to which each of a job's changes of files (before it happens), each optimizer step (after
it happened) and its start add a line `<artefact> TAB <event> TAB <path> TAB <seconds>`. `TORTURE_KILL_AT` is the number
of the change at which the process, or with `TORTURE_KILL_TREE` its whole group, dies by SIGKILL, and
`TORTURE_LARGEST_FILE` how many bytes a file may have. Whatever is no script of the project is left alone, and the
product knows nothing of this.
"""
# It runs before everything else, so without pathlib.
# ruff: noqa: PTH100, PTH118, PTH120

import importlib.util
import os
import resource
import signal
import sys
import time

CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "shutil.rmtree"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
STEPS = "torch.optim.optimizer"


def _value(option):
    """What a script was given for an option, or None."""
    arguments = sys.orig_argv
    return arguments[arguments.index(option) + 1] if option in arguments[:-1] else None


def _install(events, recipe):
    artefact = os.path.relpath(recipe, os.path.dirname(os.path.dirname(recipe))).removesuffix(".json")
    results = os.path.abspath(os.path.join(recipe, "..", "..", ".."))
    ignored = os.path.join(results, "logs") + os.sep
    kill_at = int(os.environ.get("TORTURE_KILL_AT", "-1"))
    handle = os.open(events, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    changes = 0

    def note(event, path=""):
        os.write(handle, f"{artefact}\t{event}\t{path}\t{time.monotonic():.3f}\n".encode())

    def watch(event, arguments):
        nonlocal changes
        if event not in CHANGES:
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING):
            return
        path = arguments[1] if event in ("os.rename", "os.link", "os.symlink") else arguments[0]
        if not isinstance(path, str | os.PathLike):
            return
        path = os.path.abspath(path)
        if not path.startswith(results + os.sep) or path.startswith(ignored):
            return
        if changes == kill_at:
            if "TORTURE_KILL_TREE" in os.environ:
                os.killpg(0, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        changes += 1
        note(event, os.path.relpath(path, results))

    class CountSteps:
        """Has the optimizers of torch, once they are imported, tell of each step."""

        def find_spec(self, name, path=None, target=None):
            if name != STEPS:
                return None
            sys.meta_path.remove(self)
            spec = importlib.util.find_spec(name)
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                module.register_optimizer_step_post_hook(lambda *_: note("step"))

            spec.loader.exec_module = exec_module
            return spec

    note("start")
    sys.addaudithook(watch)
    sys.meta_path.insert(0, CountSteps())


if "TORTURE_LARGEST_FILE" in os.environ:
    largest = int(os.environ["TORTURE_LARGEST_FILE"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
if "TORTURE_EVENTS" in os.environ and _value("--recipe") is not None:
    _install(os.environ["TORTURE_EVENTS"], _value("--recipe"))
