from __future__ import annotations

import pytest

from diverloop.runtime.errors import ConfigError, UnknownName
from diverloop.runtime.guide_file import parse_guide, read_guide

TEXT = """
[session]
name = "morning"
operator = "O1"

[source]
kind = "simulator"
seed = 5

[calibration]
task = "motor_imagery"
classes = ["left", "feet"]
rest_s = [1, 2.5]
max_s = 600

[calibration.words]
feet = "Wiggle your toes"

[limits]
lost_share = 0.1
"""


def test_a_file_is_read_with_types_and_defaults(tmp_path):
    (tmp_path / "g.toml").write_text(TEXT)
    guide = read_guide(tmp_path / "g.toml", {"session.participant": "'P1'", "source.seed": "6"})
    assert (guide.name, guide.operator, guide.participant) == ("morning", "O1", "P1")
    assert (guide.source.kind, guide.source.settings.seed) == ("simulator", 6)
    assert guide.task == "motor_imagery"
    assert guide.plan.classes == ("left", "feet")
    assert guide.plan.rest_s == (1.0, 2.5)
    assert guide.plan.said("feet") == "Wiggle your toes"
    assert guide.plan.trials_per_class == 20
    assert (guide.limits.lost_share, guide.limits.muscle) == (0.1, 1.0)


def tables(**changes):
    whole = {
        "session": {"name": "x"},
        "source": {"kind": "simulator"},
        "calibration": {"task": "motor_imagery"},
    }
    return {name: table for name, table in (whole | changes).items() if table is not None}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"source": None}, r"table \[source\] is missing"),
        ({"model": {"bundle": "x"}}, "'model' is no key of the calibration file"),
        ({"session": {}}, r"session\.name is missing"),
        ({"calibration": {}}, r"calibration\.task is missing"),
        ({"calibration": 3}, r"\[calibration\] must be a table"),
        ({"calibration": {"task": 3}}, r"calibration\.task must be a text"),
        ({"calibration": {"task": "x", "trial_per_class": 3}}, "trials_per_class"),
        ({"calibration": {"task": "x", "trials_per_class": 1}}, r"in \[2, 200\]"),
        ({"calibration": {"task": "x", "classes": ["a", "reject"]}}, '"reject"'),
        ({"limits": {"muscle": -1}}, "muscle must be positive"),
    ],
)
def test_what_cannot_be_used_is_told(changes, match):
    with pytest.raises(ConfigError, match=match):
        parse_guide(tables(**changes))


def test_the_error_names_the_file_and_keeps_its_kind(tmp_path):
    (tmp_path / "g.toml").write_text(TEXT)
    with pytest.raises(UnknownName, match=r"g\.toml: source\.kind: No source is called"):
        read_guide(tmp_path / "g.toml", {"source.kind": "amp"})
    with pytest.raises(ConfigError, match="There is no calibration file"):
        read_guide(tmp_path / "h.toml")
