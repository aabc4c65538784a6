"""Who is known, and what becomes of the list when somebody damages it."""

from __future__ import annotations

import json
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from diverloop.runtime.access import Role
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.keys import new_curve_key, server_key
from diverloop.runtime.people import KEY_FOLDER, OWN_KEY, PEOPLE, People, own_key


def enrolled(folder, name="p1", role=Role.VIEWER):
    key = new_curve_key()
    return key, People(folder).enrol(name, role, key.public)


def test_somebody_enrolled_is_known_by_the_key(tmp_path):
    people = People(tmp_path)
    key, person = enrolled(tmp_path)
    assert people.by_key(key.public) == person
    assert (person.role, person.revoked) == (Role.VIEWER, "")
    assert people.by_key(new_curve_key().public) is None
    assert stat.S_IMODE((tmp_path / PEOPLE).stat().st_mode) == 0o600


def test_nobody_is_known_at_first_and_no_file_is_made(tmp_path):
    assert People(tmp_path).all() == ()
    assert list(tmp_path.iterdir()) == []


def test_a_secret_does_not_show_when_a_person_is_printed(tmp_path):
    _, person = enrolled(tmp_path)
    assert person.secret not in repr(person)


def test_a_running_session_hears_of_a_revocation_at_once(tmp_path):
    key, _ = enrolled(tmp_path)
    running = People(tmp_path)
    assert not running.by_key(key.public).revoked
    People(tmp_path).revoke("p1")
    assert running.by_key(key.public).revoked


def test_a_name_and_a_key_are_one_persons_for_ever(tmp_path):
    key, _ = enrolled(tmp_path)
    people = People(tmp_path)
    people.revoke("p1")
    with pytest.raises(ConfigError, match="for ever"):
        people.enrol("p1", Role.VIEWER, new_curve_key().public)
    with pytest.raises(ConfigError, match="for ever"):
        people.enrol("p2", Role.VIEWER, key.public)
    for change in (people.revoke, people.renew):
        with pytest.raises(ConfigError, match="was revoked on"):
            change("p1")


def test_a_renewed_second_factor_is_another(tmp_path):
    key, before = enrolled(tmp_path)
    after = People(tmp_path).renew("p1")
    assert after.secret != before.secret
    assert People(tmp_path).by_key(key.public) == after


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 41, "-x", "é", "a\n"])
def test_what_is_no_pseudonym_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="pseudonym"):
        People(tmp_path).enrol(name, Role.VIEWER, new_curve_key().public)


def test_nobodys_name_is_refused_with_the_nearest(tmp_path):
    enrolled(tmp_path, "nurse-1")
    with pytest.raises(ConfigError, match="Did you mean 'nurse-1'"):
        People(tmp_path).revoke("nurse1")


def damages(path):
    held = json.loads(path.read_text())
    twice = {**held, "people": held["people"] * 2}
    role = {**held, "people": [{**held["people"][0], "role": "king"}]}
    key = {**held, "people": [{**held["people"][0], "public_key": "x"}]}
    yield from ("", "{", "[]", '{"format": 1}', json.dumps({**held, "format": 9}))
    yield from map(json.dumps, (twice, role, key, {**held, "more": 1}))


def test_a_damaged_list_is_refused_in_words_and_left_as_it_is(tmp_path):
    enrolled(tmp_path)
    path = tmp_path / PEOPLE
    for text in list(damages(path)):
        path.write_text(text)
        with pytest.raises(ConfigError, match="list of people"):
            People(tmp_path)
        assert path.read_text() == text


def test_a_list_that_others_may_read_is_refused(tmp_path):
    enrolled(tmp_path)
    (tmp_path / PEOPLE).chmod(0o640)
    with pytest.raises(ConfigError, match="rights 0640"):
        People(tmp_path)


@pytest.mark.parametrize("damage", ["text", "rights", "gone"])
def test_a_list_damaged_during_a_session_stays_known_but_is_not_relied_on(tmp_path, damage):
    key, person = enrolled(tmp_path)
    running = People(tmp_path)
    path = tmp_path / PEOPLE
    kept = path.read_text()
    if damage == "text":
        path.write_text("{")
    elif damage == "rights":
        path.chmod(0o666)
    else:
        path.unlink()
    assert running.by_key(key.public) == person
    assert "list of people" in running.fault
    with pytest.raises(ConfigError, match="list of people"):
        running.enrol("p2", Role.VIEWER, new_curve_key().public)
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_text(kept)
    assert running.by_key(key.public) == person
    assert running.fault == ""


def test_this_users_own_key_is_made_once_as_an_operators(tmp_path):
    person, new = own_key(tmp_path)
    assert new
    assert own_key(tmp_path) == (person, False)
    known = People(tmp_path).by_key(person.key.public)
    assert (known.name, known.role) == ("owner", Role.OPERATOR)
    assert person.server == server_key(tmp_path).public
    assert stat.S_IMODE((tmp_path / KEY_FOLDER / OWN_KEY).stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="needs locks to wait for")
def test_of_many_who_start_at_once_one_makes_the_own_key_and_all_get_it(tmp_path):
    together = threading.Barrier(6, timeout=20)

    def start(_):
        together.wait()
        return own_key(tmp_path / "home")

    with ThreadPoolExecutor(6) as starters:
        got = list(starters.map(start, range(6)))
    assert sum(new for _, new in got) == 1
    assert len({person.key.public for person, _ in got}) == 1
    assert [person.name for person in People(tmp_path / "home").all()] == ["owner"]
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_an_own_key_that_was_lost_is_another_persons_next(tmp_path):
    own_key(tmp_path)
    (tmp_path / KEY_FOLDER / OWN_KEY).unlink()
    person, new = own_key(tmp_path)
    assert new
    assert person.name == "owner-2"
