"""A file of settings: read whole or refused by name, and one table of it written."""

from __future__ import annotations

import tomllib

import pytest

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.toml_file import put_table, read_toml

PIN = {"source_id": "serial-1", "about": '3 "channels" \\ Übung'}
TEXT = """\
# A comment that stays.
[source]
kind = "lsl"    # so does this one

[model]
bundle = "m.bundle"
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_a_table_is_put_at_the_end_and_all_else_stays_as_it_was(file):
    put_table(file, ("source", "pin"), PIN)
    assert file.read_text(encoding="utf-8").startswith(TEXT)
    assert read_toml(file)["source"] == {"kind": "lsl", "pin": PIN}
    assert [path.name for path in file.parent.iterdir()] == ["s.toml"]


def test_a_table_that_is_there_is_replaced_where_it_stands(file):
    file.write_text(TEXT + '\n[source.pin]\nold = "x"\nolder = "y"\n\n[loop]\nstale_s = 1.0\n')
    put_table(file, ("source", "pin"), PIN)
    assert read_toml(file)["source"]["pin"] == PIN
    assert file.read_text().endswith("\n\n[loop]\nstale_s = 1.0\n")


@pytest.mark.parametrize("pin", ['pin = { a = "b" }', "pin = 3"])
def test_a_table_in_another_form_is_left_for_a_person_to_change(file, pin):
    text = TEXT.replace('kind = "lsl" ', f'{pin}\nkind = "lsl" ')
    file.write_text(text)
    with pytest.raises(
        ConfigError, match=r"write these lines yourself: \[source\.pin\]; source_id"
    ):
        put_table(file, ("source", "pin"), PIN)
    assert file.read_text() == text


@pytest.mark.parametrize("value", ["a\x7fb", "a\ud800b"])
def test_what_toml_cannot_hold_is_not_written(file, value):
    with pytest.raises(ConfigError):
        put_table(file, ("source", "pin"), {"about": value})
    assert file.read_text() == TEXT


def test_a_file_that_is_not_there_cannot_be_written_to(tmp_path):
    with pytest.raises(ConfigError, match="There is no session file"):
        put_table(tmp_path / "none.toml", ("source", "pin"), PIN)
    assert tomllib.loads(TEXT)["source"] == {"kind": "lsl"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"a = " + b"{a=" * 50_000, "nested too deeply"),
        (b".".join([b"a"] * 100_000) + b" = 1", "a key of more than 16 parts"),
        (b"[" + b" . ".join([b'"a"'] * 20_000) + b"]", "a key of more than 16 parts"),
        (b"a = 1" + b"0" * 5_000, "not valid TOML"),
        (b"#" * 300_000, "allowed are 262144"),
        (b"a = '\xff'", "not valid TOML"),
        (b"\xef\xbb\xbfa = 1", "not valid TOML"),
        (b"a = 1\na = 2", "not valid TOML"),
        (b"\0", "not valid TOML"),
    ],
    ids=[
        "arrays", "tables", "dots", "headers", "digits", "size", "letters", "mark", "twice", "zero",
    ],
)  # fmt: skip
def test_a_bomb_is_refused_at_once(tmp_path, content, why):
    (tmp_path / "s.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=why):
        read_toml(tmp_path / "s.toml")


def test_many_numbers_with_points_are_no_long_key(tmp_path):
    numbers = ", ".join(["0.5"] * 1000)
    (tmp_path / "s.toml").write_text(f"a.b.c = [{numbers}]\r\n", newline="")
    assert read_toml(tmp_path / "s.toml") == {"a": {"b": {"c": [0.5] * 1000}}}
