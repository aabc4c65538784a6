from __future__ import annotations

import inspect

import pytest

from diverloop.runtime import errors

TREE = {name: cls for name, cls in vars(errors).items() if inspect.isclass(cls)}


def drawn() -> dict[str, str]:
    """Error -> parent, as the docstring draws them: four columns a level."""
    lines = errors.__doc__.split("::\n\n", 1)[1].split("\n\n", 1)[0].splitlines()
    parents, trail = {}, []
    for line in lines:
        bare = line[4:].lstrip(" |`-")
        depth = (len(line) - 4 - len(bare)) // 4
        name = bare.split()[0]
        trail = [*trail[:depth], name]
        parents[name] = trail[-2] if depth else ""
    return parents


def test_the_tree_in_the_docstring_is_the_tree():
    parents = drawn()
    assert parents.keys() == TREE.keys()
    root = parents.pop("DiverloopError")
    assert root == ""
    for name, parent in parents.items():
        assert TREE[name].__bases__[0] is TREE[parent], name


@pytest.mark.parametrize("name", TREE)
def test_one_except_clause_catches_everything_diverloop_raises_on_purpose(name):
    with pytest.raises(errors.DiverloopError, match="what was got"):
        raise TREE[name]("what was got")


def test_errors_answer_to_the_names_that_python_gives_them():
    assert issubclass(errors.ConfigError, ValueError)
    assert issubclass(errors.ConformanceError, AssertionError)


def test_a_refusal_is_short_and_can_be_shown_whatever_it_quotes():
    text = str(errors.ConfigError(f"name must be a text, got {'A' * 70_000} \ud800: write one."))
    assert len(text) < 2100
    assert "characters are left out" in text
    assert text.endswith(": write one.")
    assert text.encode()
