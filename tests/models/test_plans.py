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
    middle = LayerPlan("shared", "joint", "shared_plus_vision", 64, 0)
    ffn = {"preset": "unix_shared_ffn", "first": 1, "last": 1, "shared_width": 64, "vision_width": 0}
    assert layer_plan(ffn, 4) == [SEPARATE, middle, middle, SEPARATE]
    assert layer_plan({"preset": "unix", "first": 1, "last": 0, "attention_scope": "joint"}, 2) == [mot, SHARED]
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
        ({"preset": "custom", "table": [{"ffn": "shared_plus_vision"}] * 4}, "needs at least one above 0"),
        ({"preset": "custom", "table": [{"ffn_vision_width": 8}] * 4}, "belong to shared_plus_vision"),
        (
            {"preset": "unix_shared_ffn", "first": 3, "last": 1, "shared_width": 8, "vision_width": 8},
            "unix_shared_ffn 3:1 leaves no shared layer of 4",
        ),
        ({"preset": "custom", "table": [{"attention": "joint"}] * 4}, "unknown field 'attention'; known: attention_we"),
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
    assert architecture_label({"preset": "unix", "first": 9, "last": 5, "attention_scope": "joint"}) == "unix_joint 9:5"
    ffn = {"preset": "unix_shared_ffn", "first": 2, "last": 1, "shared_width": 64, "vision_width": 192}
    assert architecture_label(ffn) == "unix_shared_ffn 2:1 64+192"


def test_a_row_survives_json() -> None:
    assert SHARED.as_dict() == {"attention_weights": "shared", "attention_scope": "joint", "ffn": "shared"}
    row = LayerPlan("shared", "joint", "shared_plus_vision", 0, 24)
    assert LayerPlan.from_dict(row.as_dict()) == row


def test_plans_need_no_torch() -> None:
    code = "import sys, unix_lib.layer_plans; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
