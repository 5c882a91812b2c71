"""Plans: presets, labels, and what is refused; importable without torch."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from tests.models.small import plan_of
from unix_lib.architectures.plans import SEPARATE, SHARED, architecture_label, layer_plan
from unix_lib.config.models import LayerPlan, PlanError


def test_presets() -> None:
    assert layer_plan(plan_of(preset="shared"), 3) == [SHARED] * 3
    unix = layer_plan(plan_of(preset="unix", first=2, last=1), 6)
    assert unix == [SEPARATE] * 2 + [SHARED] * 3 + [SEPARATE]
    assert SEPARATE.semantic() == dict.fromkeys(("attention_weights", "ffn"), "per_modality") | {
        "attention_scope": "within_modality"
    }
    mot = LayerPlan(attention_weights="per_modality", attention_scope="joint", ffn="per_modality")
    assert layer_plan(plan_of(preset="mot"), 2) == [mot, mot]
    expert = LayerPlan(attention_weights="shared", attention_scope="joint", ffn="per_modality")
    assert layer_plan(plan_of(preset="moe", every=2), 5) == [SHARED, expert, SHARED, expert, SHARED]
    middle = LayerPlan(ffn="shared_plus_vision", ffn_shared_width=64, ffn_vision_width=0)
    ffn = plan_of(preset="unix_shared_ffn", first=1, last=1, shared_width=64, vision_width=0)
    assert layer_plan(ffn, 4) == [SEPARATE, middle, middle, SEPARATE]
    assert layer_plan(plan_of(preset="unix", first=1, last=0, attention_scope="joint"), 2) == [mot, SHARED]
    row = {"attention_scope": "within_modality"}
    assert layer_plan(plan_of(preset="custom", table=[row]), 1) == [LayerPlan(attention_scope="within_modality")]
    assert len({SHARED, SEPARATE, LayerPlan()}) == 2
    assert [plan.separate for plan in (SHARED, LayerPlan(**row), SEPARATE, mot, expert, middle)] == [False] * 2 + [
        True
    ] * 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "unix", "first": 2, "last": 2}, "leaves no shared layer of 4; .* add up to at most 3"),
        ({"preset": "moe", "every": 5}, "every 5 leaves no layer of 4 with a vision expert"),
        ({"preset": "custom", "table": [{}]}, "1 rows for 4 layers"),
        (
            {"preset": "unix_shared_ffn", "first": 3, "last": 1, "shared_width": 8, "vision_width": 8},
            "unix_shared_ffn 3:1 leaves no shared layer of 4",
        ),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        layer_plan(plan_of(**settings), 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "unix", "first": -1, "last": 2}, "first\n.* greater than or equal to 0"),
        ({"preset": "moe", "every": 0}, "every\n.* greater than or equal to 1"),
        ({"preset": "uni"}, "'uni' .* expected tags: 'shared', 'unix', 'unix_shared_ffn', 'mot', 'moe', 'custom'"),
    ],
)
def test_a_plan_that_is_none_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        plan_of(**settings)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"ffn": "both"},
            "layer plan: ffn: Input should be 'shared', 'per_modality' or 'shared_plus_vision', not 'both'",
        ),
        ({"ffn": "shared_plus_vision"}, "layer plan: .* needs at least one above 0"),
        ({"ffn_vision_width": 8}, "layer plan: .* belong to ffn 'shared_plus_vision'"),
        ({"ffn_vision_width": -8}, "layer plan: ffn_vision_width: .* greater than or equal to 0"),
        ({"attention": "joint"}, "layer plan: unknown key 'attention'; did you mean 'attention_scope'"),
    ],
)
def test_a_row_that_no_layer_has_is_refused(row: dict[str, Any], message: str) -> None:
    """In a config file, and in the config.json of a checkpoint."""
    with pytest.raises(PlanError, match=message):
        LayerPlan.from_dict(row)
    with pytest.raises(ValidationError):
        plan_of(preset="custom", table=[row])


def test_labels() -> None:
    assert architecture_label(plan_of(preset="shared")) == "shared"
    assert architecture_label(plan_of(preset="unix", first=9, last=5)) == "unix 9:5"
    assert architecture_label(plan_of(preset="moe", every=2)) == "moe 1/2"
    assert architecture_label(plan_of(preset="mot")) == "mot"
    assert architecture_label(plan_of(preset="custom", table=[{}])) == "custom"
    joint = plan_of(preset="unix", first=9, last=5, attention_scope="joint")
    assert architecture_label(joint) == "unix_joint 9:5"
    ffn = plan_of(preset="unix_shared_ffn", first=2, last=1, shared_width=64, vision_width=192)
    assert architecture_label(ffn) == "unix_shared_ffn 2:1 64+192"


def test_a_row_survives_json() -> None:
    assert SHARED.as_dict() == {"attention_weights": "shared", "attention_scope": "joint", "ffn": "shared"}
    row = LayerPlan(ffn="shared_plus_vision", ffn_vision_width=24)
    assert list(row.as_dict()) == ["attention_weights", "attention_scope", "ffn", "ffn_vision_width"]
    assert LayerPlan.from_dict(row.as_dict()) == row


def test_plans_need_no_torch() -> None:
    code = "import sys, unix_lib.architectures.plans; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
