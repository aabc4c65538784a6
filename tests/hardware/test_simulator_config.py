import pytest

from diverloop.hardware.simulator_config import TASK_CLASSES, Fault, SimulatorConfig
from diverloop.runtime.errors import ConfigError, UnknownName


def test_the_defaults_are_a_two_class_motor_imagery():
    assert SimulatorConfig().labels == ("left", "right")


@pytest.mark.parametrize("task", TASK_CLASSES)
def test_every_task_has_classes_of_its_own(task):
    assert SimulatorConfig(task=task).labels == TASK_CLASSES[task]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rate_hz", 99.0),
        ("rate_hz", 30_001.0),
        ("rate_hz", float("nan")),
        ("duration_s", -1.0),
        ("chunk_s", 2.0),
        ("snr", -0.1),
        ("snr", float("inf")),
        ("line_hz", 55.0),
        ("blinks_per_min", -1.0),
        ("drift_uv", -1.0),
        ("skill", 1.1),
        ("skill", 0.05),
        ("learning_rate", 2.0),
        ("skill_bounds", (0.7, 0.2)),
        ("skill_bounds", (0.5, 1.2)),
        ("reaction_s", 0.05),
        ("seed", -1),
        ("seed", 1.5),
        ("task", "motor_imagry"),
        ("classes", ("left",)),
        ("classes", ("left", "left")),
        ("classes", ("left", "tongue")),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(key, value):
    with pytest.raises(ConfigError, match=f"simulator.{key}.*got"):
        SimulatorConfig(**{key: value})


def test_a_misspelt_task_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'motor_imagery'"):
        SimulatorConfig(task="motor_imagry")


def test_an_unknown_montage_is_refused():
    with pytest.raises(UnknownName, match="eeg16"):
        SimulatorConfig(montage="eeg17")


@pytest.mark.parametrize("classes", [("fast", "slow"), ("2",), ("101",), ("nan",)])
def test_a_flicker_that_cannot_be_shown_or_sampled_is_refused(classes):
    with pytest.raises(ConfigError, match=r"simulator\.classes"):
        SimulatorConfig(task="ssvep", classes=classes)


def test_any_flicker_between_is_taken():
    assert SimulatorConfig(task="ssvep", classes=("7.5", "13")).labels == ("7.5", "13")


@pytest.mark.parametrize("task", ["p300", "ssvep"])
@pytest.mark.parametrize("montage", ["ecog8x8", "seeg4x10"])
def test_visual_tasks_need_a_scalp_montage(task, montage):
    with pytest.raises(ConfigError, match=r"simulator\.montage"):
        SimulatorConfig(task=task, montage=montage)


@pytest.mark.parametrize(
    ("key", "value"), [("kind", "hole"), ("at_s", -1.0), ("length_s", 0.0), ("length_s", 1e9)]
)
def test_an_impossible_fault_is_refused(key, value):
    with pytest.raises(ConfigError, match=f"fault.{key}"):
        Fault(**({"kind": "gap", "at_s": 1.0, "length_s": 1.0} | {key: value}))
