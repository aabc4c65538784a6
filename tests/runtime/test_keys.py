from __future__ import annotations

import stat

import pytest

from diverloop.runtime import keys
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.keys import (
    SERVER_KEY,
    CurveKey,
    PersonKey,
    check_key,
    new_curve_key,
    read_person_key,
    server_key,
    short_key,
    write_person_key,
)


def test_a_persons_key_file_comes_back_and_is_private(tmp_path):
    person = PersonKey(name="p1", key=new_curve_key(), server=new_curve_key().public)
    path = tmp_path / "p1.key"
    write_person_key(path, person)
    assert read_person_key(path) == person
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="never overwritten"):
        write_person_key(path, person)


def test_a_secret_is_never_shown(tmp_path):
    key = new_curve_key()
    assert key.secret not in repr(PersonKey(name="p1", key=key, server=""))
    with pytest.raises(ConfigError, match=r"secret half .* 40 characters") as caught:
        CurveKey(public=key.public, secret=key.secret + "x")
    assert key.secret not in str(caught.value)


@pytest.mark.parametrize("text", ["", "x" * 39, "x" * 41, "é" * 40, "~" * 40, "#" * 40])
def test_what_is_no_key_is_refused(text):
    with pytest.raises(ConfigError, match="40 characters"):
        check_key(text, "A key")


def test_the_machine_has_one_key_and_keeps_it(tmp_path):
    first = server_key(tmp_path)
    assert server_key(tmp_path) == first
    assert stat.S_IMODE((tmp_path / SERVER_KEY).stat().st_mode) == 0o600


def test_a_starter_that_finds_another_was_faster_takes_the_key_of_the_other(tmp_path, monkeypatch):
    winners = []

    def draw_slowly():
        monkeypatch.undo()
        winners.append(server_key(tmp_path))
        return new_curve_key()

    monkeypatch.setattr(keys, "new_curve_key", draw_slowly)
    assert [server_key(tmp_path)] == winners
    assert [path.name for path in tmp_path.iterdir()] == [SERVER_KEY]


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"\xff", b'{"format": 2, "name": "x", "public": "a", "secret": "b"}']
)
def test_a_damaged_key_file_is_refused_and_not_replaced(tmp_path, damage):
    path = tmp_path / SERVER_KEY
    path.write_bytes(damage)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="key file"):
        server_key(tmp_path)
    assert path.read_bytes() == damage


def test_a_key_that_others_may_read_is_refused(tmp_path):
    server_key(tmp_path)
    (tmp_path / SERVER_KEY).chmod(0o644)
    with pytest.raises(ConfigError, match="rights 0644"):
        server_key(tmp_path)


def test_a_missing_key_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="diverloop keys new"):
        read_person_key(tmp_path / "none.key")


def test_the_short_form_tells_keys_apart():
    one, other = new_curve_key().public, new_curve_key().public
    assert short_key(one) == short_key(one) != short_key(other)
    assert len(short_key(one)) == 19
