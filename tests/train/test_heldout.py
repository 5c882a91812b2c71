"""When the held-out loss is measured and when it stops a run."""

from unix_lib.config.train import CheckpointSettings, Optimization
from unix_lib.train.heldout import PATIENCE, chosen_packs, judge, measured_at, rows_for_checkpoint


def settings(*, total_steps: int, step: int) -> CheckpointSettings:
    """Only what decides when a run measures."""
    optimization = Optimization(total_steps=total_steps)
    return CheckpointSettings.model_construct(step=step, optimization=optimization, keep_best_every=None)


def test_measurements_do_not_depend_on_the_checkpoints() -> None:
    steps = [step for step in range(61) if measured_at(step, settings(total_steps=60, step=44))]
    assert steps == list(range(0, 61, 6))
    rows = [{"step": step} for step in [*steps, 20, 44]]  # checkpoints at 20 and 44 lie between
    kept = rows_for_checkpoint(rows, settings(total_steps=60, step=44))
    assert [row["step"] for row in kept] == [*steps, 44]


def test_short_runs_measure_at_every_step() -> None:
    assert all(measured_at(step, settings(total_steps=3, step=3)) for step in range(4))


def test_packs_are_spread_over_the_held_out_set() -> None:
    assert chosen_packs(0) == []
    assert chosen_packs(3) == [0, 1, 2]
    assert chosen_packs(80) == list(range(0, 80, 10))


def test_two_measurements_without_progress_stop_a_run_and_one_does_not() -> None:
    best, stopped = None, []
    for step, loss in enumerate([3.0, 2.0, 2.5, 1.9, 1.9, 2.4]):
        best, _ = judge(best, step, loss, tokens=10 * step)
        stopped.append(best.worse >= PATIENCE)
    assert stopped == [False] * 5 + [True]
    assert best is not None and (best.step, best.loss, best.tokens) == (3, 1.9, 30)
