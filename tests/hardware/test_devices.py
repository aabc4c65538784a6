"""Every source and sink says what it was tested with, and the page says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from diverloop.hardware.devices import KINDS, device_entries, devices_page
from diverloop.runtime.catalog import CATALOG, find
from diverloop.runtime.device_record import DeviceRecord

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = [(kind, name) for kind in KINDS for name in CATALOG[kind]]


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_source_and_sink_has_a_record_of_its_own(kind, name):
    cls = find(kind, name)
    assert isinstance(vars(cls).get("tested"), DeviceRecord), (
        f"{kind} {name}: give {cls.__name__} a class attribute tested = DeviceRecord(...)"
    )


def test_the_page_is_what_the_records_say():
    page = (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")
    assert page == devices_page(), "run python tests/devices_page.py"


def test_the_page_lists_every_entry_once():
    page = devices_page()
    assert [(kind, name) for kind, name, _ in device_entries()] == ENTRIES
    for kind in KINDS:
        title = {"source": "## Where samples", "sink": "## Where commands"}[kind]
        part = page.split(title)[1].split("\n## ")[0]
        for name in CATALOG[kind]:
            assert part.count(f"| `{name}` |") == part.count(f"- `{name}`:") == 1


def test_extras_that_a_device_needs_are_extras_of_this_package():
    import tomllib

    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {one.extra for _, _, one in device_entries() if one.extra} <= set(known)
