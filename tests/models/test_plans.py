"""Plans: presets, labels, and what is refused; importable without torch."""

import subprocess
import sys

import pytest

from unix_lib.layer_plans import SEPARATE, SHARED, LayerPlan, PlanError, architecture_label, layer_plan


def test_presets() -> None:
    assert layer_plan({"preset": "shared"}, 3) == [SHARED] * 3
    assert layer_plan({"preset": "unix", "first": 2, "last": 1}, 6) == [SEPARATE] * 2 + [SHARED] * 3 + [SEPARATE]
    mot = LayerPlan("per_modality", "joint", "per_modality")
    assert layer_plan({"preset": "mot"}, 2) == [mot, mot]
    expert = LayerPlan("shared", "joint", "per_modality")
    assert layer_plan({"preset": "moe", "every": 2}, 5) == [SHARED, expert, SHARED, expert, SHARED]
    row = {"attention_scope": "within_modality"}
    assert layer_plan({"preset": "custom", "table": [row]}, 1) == [LayerPlan("shared", "within_modality", "shared")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "unix", "first": 2, "last": 2}, "leaves no shared layer of 4"),
        ({"preset": "unix", "first": -1, "last": 2}, "must not be negative"),
        ({"preset": "moe", "every": 5}, "between 1 and the number of layers, 4"),
        ({"preset": "custom", "table": [{}]}, "1 rows for 4 layers"),
        ({"preset": "custom", "table": [{"ffn": "both"}] * 4}, "ffn 'both' is unknown"),
        ({"preset": "uni"}, "unknown plan preset 'uni'"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        layer_plan(settings, 4)


def test_labels() -> None:
    assert architecture_label({"preset": "unix", "first": 9, "last": 5}) == "unix 9:5"
    assert architecture_label({"preset": "moe", "every": 2}) == "moe 1/2"
    assert architecture_label({"preset": "mot"}) == "mot"


def test_plans_need_no_torch() -> None:
    code = "import sys, unix_lib.layer_plans; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
