from __future__ import annotations

import copy
import dataclasses
import json
import math
import re
import string
import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from diverloop.hardware.lsl_inlet import LslConfig
from diverloop.hardware.lsl_pin import StreamPin
from diverloop.hardware.null import NullConfig
from diverloop.hardware.simulator import Fault, SimulatorConfig
from diverloop.runtime.catalog import CATALOG, find
from diverloop.runtime.control_config import ControlConfig
from diverloop.runtime.errors import ConfigError, UnknownName
from diverloop.runtime.feedback import FeedbackConfig
from diverloop.runtime.loop_config import LoopConfig
from diverloop.runtime.paradigms.flicker import FlickerConfig
from diverloop.runtime.realtime import RealtimeConfig
from diverloop.runtime.session import (
    PartConfig,
    SessionConfig,
    build,
    parse_session,
    read_session,
    tables_of,
)
from diverloop.runtime.timing_offset import DeviceTiming

TEXT = """
[session]
name = "rehearsal"

[source]
kind = "simulator"
rate_hz = 500
skill_bounds = [0, 0.9]
classes = ["left", "feet"]
faults = [{kind = "gap", at_s = 9.5, length_s = 1}]

[model]
bundle = "models/mi"
step_s = 0.05

[[sinks]]
kind = "null"

[[sinks]]
kind = "lsl"
name = "out"

[feedback]
memory_s = 0

[loop]
stale_s = 0.5

[realtime]
affinity = [0, 2]
"""

SMALLEST = {
    "session": {"name": "x"},
    "source": {"kind": "lsl", "name": "amp"},
    "model": {"bundle": "b"},
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rehearsal.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def parsed(**tables) -> SessionConfig:
    return parse_session(SMALLEST | tables, Path("/rooms"))


def refusal(**tables) -> str:
    with pytest.raises(ConfigError) as caught:
        parsed(**tables)
    return str(caught.value)


# ------------------------------------------------------------------------------ what is read


def test_a_session_file_becomes_frozen_settings(file):
    session = read_session(file)
    assert session.name == "rehearsal"
    assert session.source.kind == "simulator"
    assert session.source.settings == SimulatorConfig(
        rate_hz=500.0,
        skill_bounds=(0.0, 0.9),
        classes=("left", "feet"),
        faults=(Fault(kind="gap", at_s=9.5, length_s=1.0),),
    )
    assert session.model == file.parent / "models" / "mi"
    assert session.step_s == 0.05
    assert [sink.kind for sink in session.sinks] == ["null", "lsl"]
    assert session.sinks[0].settings == NullConfig()
    assert session.sinks[1].settings.name == "out"
    assert session.feedback == {"memory_s": 0.0}
    assert session.loop == LoopConfig(stale_s=0.5)
    assert session.realtime == RealtimeConfig(affinity=(0, 2))
    with pytest.raises(dataclasses.FrozenInstanceError):
        session.name = "other"


def test_what_is_left_out_has_its_default():
    session = parsed()
    assert session.source.settings == LslConfig(name="amp")
    assert session.sinks == ()
    assert (session.feedback, session.loop) == ({}, LoopConfig())
    assert session.realtime == RealtimeConfig()
    assert session.step_s is None


def test_feedback_has_a_kind_and_its_tables_become_tuples():
    directions = {"left": [-1, 0], "right": [0.6, 0.8]}
    told = {"kind": "velocity", "gain": 2, "directions": directions}
    assert parsed(feedback=told).feedback == {
        "kind": "velocity",
        "gain": 2.0,
        "directions": {"left": (-1.0, 0.0), "right": (0.6, 0.8)},
    }
    # The model may bring the directions.
    assert parsed(feedback={"kind": "velocity", "gain": 2}).feedback["gain"] == 2.0
    assert parsed(feedback={"kind": "evidence", "dwell_s": 0}).feedback == {
        "kind": "evidence",
        "dwell_s": 0.0,
    }


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"gain": 2}, r"'gain' is no key of \[feedback\].*Known: dwell_s, idle, kind, memory_s"),
        ({"kind": "velocty"}, "No feedback is called 'velocty'. Did you mean 'velocity'"),
        ({"kind": "velocity", "dwell_s": 1.0}, r"'dwell_s' is no key of \[feedback\]"),
        ({"kind": "velocity", "gain": "2"}, "feedback.gain must be a number"),
        ({"kind": "velocity", "directions": [1.0]}, "feedback.directions must be a table"),
        ({"kind": "velocity", "directions": {"left": 1.0}}, "directions.left must be an array"),
        ({"kind": "velocity", "gain": 20, "directions": {"left": [1]}}, "feedback.gain must be in"),
    ],
)
def test_feedback_that_makes_no_sense_is_refused(table, words):
    assert re.search(words, refusal(feedback=table))


def test_whole_numbers_become_floats_where_floats_are_meant():
    settings = parsed(source={"kind": "simulator", "rate_hz": 250}).source.settings
    assert isinstance(settings.rate_hz, float)
    assert isinstance(parsed(model={"bundle": "b", "step_s": 1}).step_s, float)


def test_a_relative_bundle_counts_from_the_files_folder_and_others_stay(monkeypatch, file):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert parsed(model={"bundle": "../m/b"}).model == Path("/rooms/../m/b")
    assert parsed(model={"bundle": "/elsewhere/b"}).model == Path("/elsewhere/b")
    assert parsed(model={"bundle": "~/b"}).model == Path("/home/somebody/b")


# ------------------------------------------------------------------------------- overrides


@pytest.mark.parametrize(
    ("key", "text", "got"),
    [
        ("source.rate_hz", "256", lambda s: s.source.settings.rate_hz == 256.0),
        ("source.task", "rest", lambda s: s.source.settings.task == "rest"),
        ("source.task", '"rest"', lambda s: s.source.settings.task == "rest"),
        ("source.classes", '["feet", "left"]', lambda s: s.source.settings.classes[0] == "feet"),
        ("session.name", "two words", lambda s: s.name == "two words"),
        ("session.name", "", lambda s: s.name == ""),
        ("realtime.lock_memory", "true", lambda s: s.realtime.lock_memory is True),
        ("loop.lead_s", "0", lambda s: s.loop.lead_s == 0),
        ("model.step_s", "0.1", lambda s: s.step_s == 0.1),
    ],
)
def test_an_override_replaces_what_the_file_says(file, key, text, got):
    if "classes" not in key:
        assert got(read_session(file, {"source.classes": "[]", key: text}))
    else:
        assert got(read_session(file, {key: text}))


def test_an_override_may_open_a_table_that_the_file_lacks(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text('session.name = "x"\nsource.kind = "simulator"\nmodel.bundle = "b"\n')
    assert read_session(path, {"feedback.dwell_s": "2"}).feedback == {"dwell_s": 2.0}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("name", ["table.key=value", "'name'"]),
        ("source.kind.x", ["'source.kind.x'", "'kind'", "no table"]),
        ("sinks.0.kind", ["'sinks.0.kind'", "'sinks'", "no table"]),
        ("source.rat_hz", ["'rat_hz'", "[source]", "Did you mean 'rate_hz'?"]),
    ],
)
def test_an_override_that_leads_nowhere_is_refused(file, key, words):
    with pytest.raises(ConfigError) as caught:
        read_session(file, {key: "1"})
    assert all(word in str(caught.value) for word in words)


def test_an_overridden_value_is_checked_like_any_other(file):
    with pytest.raises(ConfigError, match=r"rehearsal.toml: loop.stale_s must be in \[0.1, 1\] s"):
        read_session(file, {"loop.stale_s": "5"})


# -------------------------------------------------------------------------- files that are none


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no session file .*none\.toml: check the name"):
        read_session(tmp_path / "none.toml")


def test_a_folder_is_no_session_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_session(tmp_path)


@pytest.mark.parametrize("content", [b"[session", b"name = x", b"\xff\xfe\x00", b"a = 1\na = 2"])
def test_a_file_that_is_not_toml_is_refused_by_name(tmp_path, content):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"broken\.toml is not valid TOML"):
        read_session(path)


def test_an_error_starts_with_the_name_of_the_file(file):
    file.write_text(TEXT.replace('"null"', '"nul"'), encoding="utf-8")
    with pytest.raises(UnknownName, match=r"^rehearsal\.toml: sinks\[0\]\.kind: No sink is called"):
        read_session(file)


# ------------------------------------------------------------------------------ each refusal


def test_a_misspelt_table_is_named_with_the_nearest():
    text = refusal(feedbak={})
    assert "'feedbak' is no key of the session file. Did you mean 'feedback'? Known: " in text
    known = "control, feedback, flicker, guard, loop, lsl, model, montage, realtime, security, "
    assert f"{known}session, sinks, source, timing, watchdog." in text


@pytest.mark.parametrize(
    ("tables", "key", "where", "near"),
    [
        ({"session": {"nam": "x"}}, "nam", "[session]", "name"),
        ({"source": {"kind": "lsl", "nme": "x"}}, "nme", "[source]", "name"),
        ({"model": {"bundel": "x"}}, "bundel", "[model]", "bundle"),
        ({"sinks": [{"kind": "null"}, {"kind": "lsl", "nmae": "x"}]}, "nmae", "[sinks[1]]", "name"),
        ({"loop": {"stale": 1}}, "stale", "[loop]", "stale_s"),
        ({"feedback": {"dwel_s": 1}}, "dwel_s", "[feedback]", "dwell_s"),
        ({"realtime": {"fifo_prio": 1}}, "fifo_prio", "[realtime]", "fifo_priority"),
    ],
)
def test_a_misspelt_key_is_named_with_its_table_and_the_nearest(tables, key, where, near):
    text = refusal(**tables)
    assert f"{key!r} is no key of {where}." in text
    assert f"Did you mean {near!r}?" in text


def test_a_misspelt_key_of_a_nested_table_is_named_with_its_path():
    fault = {"kind": "gap", "at": 1, "length_s": 1}
    text = refusal(source={"kind": "simulator", "faults": [fault]})
    assert "'at' is no key of [source.faults[0]]. Did you mean 'at_s'?" in text


@pytest.mark.parametrize(
    ("tables", "where", "near"),
    [
        ({"source": {"kind": "replya"}}, "source.kind", "replay"),
        ({"sinks": [{"kind": "null"}, {"kind": "lls"}]}, "sinks[1].kind", "lsl"),
    ],
)
def test_a_misspelt_kind_is_named_with_the_nearest(tables, where, near):
    text = refusal(**tables)
    assert text.startswith(f"{where}: No ")
    assert f"Did you mean {near!r}?" in text


@pytest.mark.parametrize("table", ["session", "source", "model"])
def test_a_missing_table_is_named(table):
    tables = {name: value for name, value in SMALLEST.items() if name != table}
    with pytest.raises(ConfigError, match=rf"\[{table}\] is missing; a session needs it"):
        parse_session(tables, Path())


@pytest.mark.parametrize(
    ("tables", "key"),
    [
        ({"session": {}}, "session.name"),
        ({"model": {"step_s": 0.1}}, "model.bundle"),
        ({"source": {"name": "x"}}, "source.kind"),
        ({"sinks": [{}]}, "sinks[0].kind"),
        ({"source": {"kind": "replay"}}, "source.path"),
        ({"source": {"kind": "simulator", "faults": [{"kind": "gap"}]}}, "source.faults[0].at_s"),
    ],
)
def test_a_missing_key_is_named(tables, key):
    assert f"{key} is missing" in refusal(**tables)


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        ({"session": {"name": 3}}, "session.name must be a text in quotes, got 3"),
        ({"session": "x"}, "[session] must be a table, got 'x'"),
        ({"model": {"bundle": "b", "step_s": "fast"}}, "model.step_s must be a number, got 'fast'"),
        ({"loop": [1]}, "[loop] must be a table, got [1]"),
        ({"loop": {"stale_s": True}}, "loop.stale_s must be a number, got True"),
        ({"realtime": {"fifo_priority": True}}, "fifo_priority must be a whole number, got True"),
        ({"realtime": {"fifo_priority": 1.0}}, "fifo_priority must be a whole number, got 1.0"),
        ({"realtime": {"lock_memory": 1}}, "realtime.lock_memory must be true or false, got 1"),
        ({"realtime": {"affinity": 1}}, "realtime.affinity must be an array, got 1"),
        ({"realtime": {"affinity": [0, False]}}, "realtime.affinity[1] must be a whole number"),
        ({"source": "lsl"}, "source.kind is missing"),
        ({"source": {"kind": 3}}, "source.kind must be a text in quotes, got 3"),
        ({"source": {"kind": ["lsl"]}}, "source.kind must be a text in quotes, got ['lsl']"),
        ({"sinks": {"kind": "null"}}, "[[sinks]] must be an array of tables, got {'kind'"),
        ({"sinks": 3}, "[[sinks]] must be an array of tables, got 3"),
        ({"sinks": ["null"]}, "sinks[0].kind is missing"),
        ({"source": {"kind": "simulator", "skill_bounds": [0.1]}}, "bounds must hold 2 values"),
        (
            {"source": {"kind": "simulator", "skill_bounds": [0.1, "x"]}},
            "source.skill_bounds[1] must be a number, got 'x'",
        ),
        ({"source": {"kind": "simulator", "faults": ["gap"]}}, "source.faults[0]] must be a table"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_refused_with_key_value_and_what_is_meant(tables, text):
    assert text in refusal(**tables)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"loop": {"stale_s": 2}}, ["loop.stale_s", "[0.1, 1] s", "got 2.0 s"]),
        ({"loop": {"stale_s": 10**400}}, ["loop.stale_s", "[0.1, 1] s", "got inf s"]),
        ({"loop": {"stale_s": -(10**400)}}, ["loop.stale_s", "[0.1, 1] s", "got -inf s"]),
        ({"loop": {"deadline_s": math.nan}}, ["loop.deadline_s", "[0, 60] s", "got nan s"]),
        ({"feedback": {"select_at": 0.1}}, ["feedback.select_at", "[0.5, 1]", "got 0.1"]),
        ({"realtime": {"fifo_priority": 100}}, ["fifo_priority", "0 to 99", "got 100"]),
        ({"source": {"kind": "lsl", "name": "x", "wait_s": 0}}, ["source.wait_s", "[0.1, 3600]"]),
        ({"source": {"kind": "simulator", "rate_hz": 5}}, ["rate_hz", "[100, 30000]", "got 5.0"]),
        ({"source": {"kind": "simulator", "task": "p3000"}}, ["task", "'p3000'", "mean 'p300'"]),
    ],
)
def test_a_value_out_of_range_is_refused_with_key_value_and_range(tables, words):
    text = refusal(**tables)
    assert [word for word in words if word not in text] == []


def test_the_home_folder_of_nobody_is_refused():
    assert "model.bundle" in refusal(model={"bundle": "~nobody-of-this-name/b"})


def test_settings_that_need_nothing_are_built_from_nothing():
    assert build(LoopConfig, {}, "loop") == LoopConfig()


# -------------------------------------------------------------------------- any file at all

SESSIONS = [
    SMALLEST,
    {
        "session": {"name": "all"},
        "source": {
            "kind": "simulator", "montage": "eeg16", "rate_hz": 250.0, "task": "motor_imagery",
            "classes": ["left", "right"], "seed": 1, "skill_bounds": [0.1, 1.0],
            "faults": [{"kind": "stall", "at_s": 1.0, "length_s": 0.5}],
        },
        "model": {"bundle": "b", "step_s": 0.05},
        "sinks": [{"kind": "null"}, {"kind": "lsl", "name": "x"}],
        "feedback": {"memory_s": 1.0, "select_at": 0.9},
        "loop": {"stale_s": 0.25, "history_s": 2.0},
        "realtime": {"affinity": [0], "fifo_priority": 0, "lock_memory": False},
    },
    {
        "session": {"name": "replay"},
        "source": {"kind": "replay", "path": "x.npz", "assume_unit": "uV", "stop_s": 4.0},
        "model": {"bundle": "b"},
    },
]  # fmt: skip

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**320), 10**320)
    | st.integers(-3, 300)
    | st.floats()
    | st.text(string.printable, max_size=6)
    | st.sampled_from(["lsl", "null", "replay", "simulator", "gap", "~x/y", "left", "\0"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["kind", "name", "x", "at_s"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value, path=()):
    """Every place in a nested value, as a path of keys and indices."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


@settings(max_examples=250)
@given(data=st.data(), session=st.sampled_from(SESSIONS), value=VALUES)
def test_any_change_of_a_good_session_is_read_or_refused_as_a_setting(data, session, value):
    session = copy.deepcopy(session)
    *path, last = data.draw(st.sampled_from(sorted(places(session), key=str)))
    table = session
    for key in path:
        table = table[key]
    what = data.draw(st.sampled_from(["replace", "delete", "rename"]))
    if what == "replace":
        table[last] = value
    else:
        kept = table.pop(last)
        if what == "rename" and isinstance(table, dict):
            table[data.draw(st.text(string.ascii_lowercase + "_", max_size=8))] = kept
    refused = ""
    try:
        assert isinstance(parse_session(session, Path("/rooms")), SessionConfig)
    except ConfigError as error:
        refused = str(error)
    assert len(refused) == 0 or len(refused.split()) > 3


@settings(max_examples=150)
@given(
    at=st.integers(0, len(TEXT) - 1),
    length=st.integers(0, 12),
    insert=st.text(string.printable, max_size=6),
)
def test_any_typing_error_in_a_file_is_read_or_refused_as_a_setting(
    tmp_path_factory, at, length, insert
):
    path = tmp_path_factory.getbasetemp() / "typed.toml"
    path.write_text(TEXT[:at] + insert + TEXT[at + length :], encoding="utf-8")
    refused = "typed.toml"
    try:
        assert isinstance(read_session(path), SessionConfig)
    except ConfigError as error:
        refused = str(error)
    assert "typed.toml" in refused


@given(key=st.text("abcdes._[]= \n", max_size=12), text=st.text(string.printable, max_size=8))
def test_any_override_is_taken_or_refused_as_a_setting(tmp_path_factory, key, text):
    path = tmp_path_factory.getbasetemp() / "overridden.toml"
    path.write_text(TEXT, encoding="utf-8")
    with suppress(ConfigError):
        assert isinstance(read_session(path, {key: text}), SessionConfig)


# ------------------------------------------------------------------------------ there and back

SHIPPED = sorted((Path(__file__).resolve().parents[2] / "sessions").glob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_tables_of_a_shipped_session_give_the_session_again(path):
    session = read_session(path)
    tables = tables_of(session)
    assert parse_session(tables, path.parent) == session
    # As a recording keeps them: through JSON, in which every tuple is a list.
    assert parse_session(json.loads(json.dumps(tables)), Path()) == session


def test_there_are_shipped_sessions_and_one_with_everything(file):
    assert len(SHIPPED) >= 4
    session = read_session(file)
    assert parse_session(json.loads(json.dumps(tables_of(session))), Path("/")) == session


NUMBERS = {float: (0.0, 1.0, 0.5, 0.25, 2.0, 12.0, 60.0, 250.0), int: (0, 1, 2, 60, 99)}


def of_type(wanted: object) -> st.SearchStrategy:
    """Values of a setting's type; not all of them are allowed."""
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(of_type(one) for one in inner)
    if origin is Mapping:
        return st.dictionaries(st.sampled_from(["left", "feet"]), of_type(inner[1]), max_size=2)
    if origin is tuple and inner[-1] is Ellipsis:
        return st.lists(of_type(inner[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*(of_type(one) for one in inner))
    if wanted is StreamPin:
        return st.just(StreamPin(source_id="serial-1", hostname="amp", schema="0f" * 32))
    if dataclasses.is_dataclass(wanted):
        return made_of(wanted)
    if wanted is type(None):
        return st.none()
    if wanted is bool:
        return st.booleans()
    if wanted is str:
        words = st.sampled_from(["left", "feet", "eeg16", "gap", "12", "motor_imagery", "ssvep"])
        return words | st.text('aZ9 _-.~/\\"\u00fc\u5de6', max_size=6)
    return st.sampled_from(NUMBERS[wanted])


@st.composite
def made_of(draw, cls: type) -> object:
    """Settings of a class, with any of its fields set, as far as they are allowed."""
    hints = typing.get_type_hints(cls)
    entries = dataclasses.fields(cls)
    needed = [
        one.name for one in entries
        if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
    ]  # fmt: skip
    others = [one.name for one in entries if one.name not in needed]
    chosen = draw(st.lists(st.sampled_from(others), unique=True, max_size=4)) if others else []
    values = {name: draw(of_type(hints[name])) for name in [*needed, *chosen]}
    while True:
        try:
            return cls(**values)
        except ConfigError:
            assume(chosen)
            values.pop(chosen.pop())


def parts(kind: str) -> st.SearchStrategy:
    """A stage of any name in the catalogue with any settings."""
    return st.sampled_from(sorted(CATALOG[kind])).flatmap(
        lambda name: made_of(find(kind, name).Config).map(
            lambda config: PartConfig(kind=name, settings=config)
        )
    )


VELOCITIES = st.fixed_dictionaries(
    {"kind": st.just("velocity")},
    optional={
        "gain": st.sampled_from([0.5, 2.0]),
        "directions": st.sampled_from([{"left": (-1.0,)}, {"up": (0.0, 1.0), "down": (0.6, -0.8)}]),
    },
)
SEEN = st.characters(exclude_categories=("Cc", "Cs"))
MEASURED = DeviceTiming(
    offset_ms=31.25, measured="2026-03-01", n=200, sd_ms=0.4, source_id="amp-7", rate_hz=500.0
)
SESSIONS_OF_ANY_KIND = st.builds(
    SessionConfig,
    name=st.text(SEEN, max_size=8),
    source=parts("source"),
    model=st.sampled_from([Path("/m/b"), Path("/m/\u00fc b.bundle"), Path("/m/~x")]),
    sinks=st.lists(parts("sink"), max_size=3).map(tuple),
    feedback=made_of(FeedbackConfig).map(dataclasses.asdict) | VELOCITIES,
    loop=made_of(LoopConfig),
    realtime=made_of(RealtimeConfig),
    step_s=st.none() | st.sampled_from([0.05, 0.1, 1.0]),
    participant=st.text(SEEN, max_size=4),
    operator=st.text(SEEN, max_size=4),
    flicker=made_of(FlickerConfig),
    control=made_of(ControlConfig),
    timing=st.sampled_from([DeviceTiming(), MEASURED]),
)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"model": {"bundle": "m", "step_s": math.nan}}, ["model.step_s", "finite", "nan"]),
        ({"feedback": {"kind": "velocity", "directions": {"a": [math.nan]}}}, ["feedback", "nan"]),
        ({"realtime": {"timer_slack_ns": 2**63}}, ["realtime.timer_slack_ns", "64 bits"]),
        ({"session": {"name": "a\x1b[2J"}}, ["session.name", "control characters"]),
        ({"session": {"name": "a\udcff"}}, ["session.name", "control characters"]),
    ],
)  # fmt: skip
def test_what_no_machine_or_person_can_read_is_refused(tables, words):
    text = refusal(**tables)
    assert not [word for word in words if word not in text]


@settings(max_examples=120, suppress_health_check=[HealthCheck.filter_too_much])
@given(session=SESSIONS_OF_ANY_KIND)
def test_the_tables_of_any_session_give_the_session_again(session):
    tables = tables_of(session)
    assert parse_session(tables, Path("/rooms")) == session
    again = parse_session(json.loads(json.dumps(tables)), Path("/rooms"))
    assert again == session
    assert tables_of(again) == tables


@pytest.mark.parametrize("kind", ["source", "sink"])
def test_no_settings_have_a_key_called_kind_of_their_own(kind):
    """It would hide the name of the stage in the table that both share."""
    for name in CATALOG[kind]:
        assert "kind" not in {one.name for one in dataclasses.fields(find(kind, name).Config)}


def test_a_relative_model_counts_from_the_folder_again():
    session = parsed()
    relative = dataclasses.replace(session, model=Path("b"))
    assert parse_session(tables_of(relative), Path("/rooms")) == session


# ------------------------------------------------------------------------ streams beside the signal

SIDE = {"kind": "lsl", "name": "eye", "role": "gaze", "append": ["x"], "stale_s": 0.5}


def test_a_stream_beside_the_signal_is_a_source_with_a_role():
    (side,) = parse_session({**SMALLEST, "beside": [SIDE]}, Path()).beside
    assert (side.kind, side.settings.name) == ("lsl", "eye")
    assert (side.beside.role, side.beside.append, side.beside.stale_s) == ("gaze", ("x",), 0.5)


def test_streams_beside_the_signal_go_into_a_file_and_come_back():
    session = parse_session({**SMALLEST, "beside": [SIDE, {**SIDE, "role": "eog"}]}, Path())
    assert parse_session(tables_of(session), Path()) == session
    assert "beside" not in tables_of(parse_session(SMALLEST, Path()))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        ([SIDE, SIDE], "beside.role 'gaze' is given twice"),
        ([{**SIDE, "markers": "cues"}], r"beside\[0\].markers is 'cues', but markers belong"),
        ([{"kind": "lsl", "name": "eye"}], r"beside\[0\].role is missing"),
        ([7], r"beside\[0\].kind is missing"),
        ({"kind": "lsl"}, r"\[\[beside\]\] must be an array of tables"),
        ([{**SIDE, "nme": "eye"}], r"'nme' is no key of \[beside\[0\]\]"),
    ],
)
def test_a_stream_beside_the_signal_that_cannot_be_used_is_refused(array, said):
    with pytest.raises(ConfigError, match=said):
        parse_session({**SMALLEST, "beside": array}, Path())


# ---------------------------------------------------------------------------------- timing


def test_a_delay_is_read_from_its_file_and_kept_as_if_it_stood_in_the_session(tmp_path):
    MEASURED.save(tmp_path / "amp.toml")
    tables = tables_of(parsed()) | {"timing": {"file": "amp.toml"}}
    session = parse_session(tables, tmp_path)
    assert session.timing == MEASURED
    (tmp_path / "amp.toml").unlink()
    assert parse_session(tables_of(session), tmp_path).timing == MEASURED


def test_a_signed_session_takes_no_delay_from_a_file_beside_it(tmp_path):
    MEASURED.save(tmp_path / "amp.toml")
    tables = {"timing": {"file": "amp.toml"}, "security": {"signed": True}}
    with pytest.raises(ConfigError, match="signature does not cover"):
        parse_session(tables_of(parsed()) | tables, tmp_path)


LEARNS = {"learner": "frozen", "trial": "cue", "envelope": {"least_gap_s": 30}}


def test_a_session_may_say_who_changes_its_decoder():
    assert not parsed().adaptation.on
    assert "adaptation" not in tables_of(parsed())
    session = parsed(adaptation=LEARNS)
    assert session.adaptation.learner == "frozen"
    assert parsed(**tables_of(session)) == session
    told = {"rewards": ["error potential"], "error_model": "errp.bundle", "learner": "frozen"}
    assert parsed(adaptation=told).adaptation.error_model.endswith("errp.bundle")


def test_a_misspelt_learner_or_setting_of_one_is_named_with_the_nearest():
    assert "adaptation.learner: No learner is called 'frosen'." in refusal(
        adaptation={"learner": "frosen"}
    )
    assert "'stpe' is no key of [adaptation.settings]" in refusal(
        adaptation={"learner": "frozen", "settings": {"stpe": 1}}
    )


def test_other_machines_are_named_in_the_file_and_come_back(tmp_path):
    tables = {
        "session": {"name": "far"},
        "source": {"kind": "simulator"},
        "model": {
            "bundle": "a.bundle",
            "second_stage": "tcp://10.0.0.5:5599",
            "second_stage_key": "language.key",
        },
        "lsl": {"known_peers": ["10.0.0.2", "amp.local"], "session_id": "ward-3"},
    }
    session = parse_session(tables, tmp_path)
    assert session.lsl.known_peers == ("10.0.0.2", "amp.local")
    assert session.second_stage_key == tmp_path / "language.key"
    assert parse_session(tables_of(session), tmp_path) == session
    del tables["lsl"]
    assert "lsl" not in tables_of(parse_session(tables, tmp_path))
