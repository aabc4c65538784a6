"""The seams stay narrow, described and checked."""

from __future__ import annotations

import inspect
import typing

import pytest

from diverloop.runtime import conformance, stages

PROTOCOLS = {
    name: cls
    for name, cls in vars(stages).items()
    if inspect.isclass(cls) and cls.__module__ == stages.__name__
}


def members(cls) -> list[str]:
    return [name for name in vars(cls) if not name.startswith("_")]


def test_the_loop_has_these_seams():
    assert PROTOCOLS.keys() == {
        "Clock", "Source", "Conditioner", "Encoder", "Adapter", "Feedback", "Sink", "Watcher",
    }  # fmt: skip


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_seam_has_at_most_five_members_each_with_a_docstring(name):
    names = members(PROTOCOLS[name])
    assert 1 <= len(names) <= 5
    assert all(inspect.getdoc(getattr(PROTOCOLS[name], member)) for member in names)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_seam_has_its_conformance_check(name):
    check = getattr(conformance, f"check_{name.lower()}")
    first = next(iter(inspect.signature(check).parameters))
    assert typing.get_type_hints(check)[first] is PROTOCOLS[name]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_an_implementation_can_be_told_from_a_stranger(name):
    whole = {member: print for member in members(PROTOCOLS[name])}
    assert isinstance(type("Whole", (), whole)(), PROTOCOLS[name])
    for missing in whole:
        kept = {member: method for member, method in whole.items() if member != missing}
        assert not isinstance(type("Partial", (), kept)(), PROTOCOLS[name])
