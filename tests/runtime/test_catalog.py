from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from diverloop.hardware.null import NullSink
from diverloop.rl.learners.learner import Learner
from diverloop.runtime import catalog as subject
from diverloop.runtime.catalog import CATALOG, find, nearest
from diverloop.runtime.errors import ConfigError, UnknownName
from diverloop.runtime.stages import Adapter, Encoder, Feedback, Sink, Source
from diverloop.runtime.stimulator import Stimulator

SEAMS = {
    "source": Source,
    "encoder": Encoder,
    "adapter": Adapter,
    "feedback": Feedback,
    "sink": Sink,
    "learner": Learner,
    "stimulator": Stimulator,
}
ENTRIES = [(kind, name) for kind in SEAMS for name in CATALOG[kind]]
ROOT = Path(subject.__file__).resolve().parents[1]


def public(seam) -> list[str]:
    return [name for name in vars(seam) if not name.startswith("_")]


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_entry_is_a_class_with_the_members_of_its_seam_and_settings(kind, name):
    cls = find(kind, name)
    assert isinstance(cls, type)
    assert [member for member in public(SEAMS[kind]) if not hasattr(cls, member)] == []
    assert dataclasses.is_dataclass(cls.Config)
    assert cls.Config.__dataclass_params__.frozen
    fields = dataclasses.fields(cls.Config)
    assert all(field.kw_only for field in fields)


def test_every_kind_of_stage_that_a_session_can_name_is_listed():
    # A task is data, and has tests beside `fit_plan`.
    assert CATALOG.keys() == SEAMS.keys() | {"task"}


def test_the_catalogue_is_complete():
    """Every class that has a seam's members and settings is listed: feedback is of the runtime."""
    listed = {entry for kind in SEAMS for entry in CATALOG[kind].values()}
    found = set()
    for folder in ("hardware", "decoders", "adapters", "rl", "runtime"):
        seams = [seam for seam in SEAMS.values() if (seam is Feedback) == (folder == "runtime")]
        for path in (ROOT / folder).rglob("*.py"):
            if path.parent.name == "envs":  # its arms may know the truth: no session may name one
                continue
            place = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
                    continue
                names = {m.name for m in node.body if isinstance(m, ast.FunctionDef)}
                assigned = [t for m in node.body if isinstance(m, ast.Assign) for t in m.targets]
                names |= {target.id for target in assigned if isinstance(target, ast.Name)}
                stage = any(set(public(seam)) <= names for seam in seams)
                # One that is derived from a listed class has its members, too.
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                derived = bases & {entry.partition(":")[2] for entry in listed}
                # What a device's source or a bandit is made of has the members.
                whole = bases & {"LinkedSource", "UpdateBandit"}
                if ((stage or whole) and "Config" in names) or derived:
                    found.add(f"{place}:{node.name}")
    assert found == listed


def test_the_catalogue_cannot_be_written_to():
    with pytest.raises(TypeError, match="does not support item assignment"):
        CATALOG["source"] = {}


def test_naming_a_stage_imports_that_stage_alone():
    code = (
        "import sys; from diverloop.runtime.catalog import find; find('sink', 'null');"
        "print([m for m in sys.modules if m.startswith('diverloop.hardware.')]);"
        "print('pylsl' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "['diverloop.hardware.null']\nFalse"


def test_a_name_gives_its_class():
    assert find("sink", "null") is NullSink


@pytest.mark.parametrize(
    ("kind", "name", "near"),
    [
        ("source", "lls", "lsl"), ("source", "replya", "replay"), ("sink", "nul", "null"),
        ("source", "simulater", "simulator"),
        ("encoder", "filterbank-covariance", "filterbank_covariance"),
    ],
)  # fmt: skip
def test_a_misspelt_name_is_refused_with_the_nearest_and_all_others(kind, name, near):
    with pytest.raises(UnknownName) as caught:
        find(kind, name)
    text = str(caught.value)
    assert text.startswith(f"No {kind} is called {name!r}. Did you mean {near!r}? Known: ")
    assert all(known in text for known in CATALOG[kind])


def test_a_name_like_no_other_gets_the_list_without_a_guess():
    assert nearest("zzzz", ["lsl", "replay"]) == "Known: lsl, replay."
    assert nearest("", ["b", "a"]) == "Known: a, b."


@pytest.mark.parametrize(
    ("module", "library", "package"),
    [
        ("brainflow", "brainflow", "brainflow"),
        ("sklearn.linear_model", "sklearn", "scikit-learn"),
        ("torch", "torch", '"diverloop[torch]"'),
    ],
)
def test_a_library_that_is_not_installed_is_named_with_the_package_it_comes_in(
    monkeypatch, module, library, package
):
    def missing(name):
        raise ModuleNotFoundError("no such thing", name=module)

    monkeypatch.setattr(subject.importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=f"'lsl' needs the library '{library}', which is no") as e:
        find("source", "lsl")
    assert str(e.value).endswith(f"pip install {package}.")
