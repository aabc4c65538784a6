"""The table of devices: what every source and sink of the catalogue was tried with."""

from __future__ import annotations

from collections.abc import Iterator

from ..runtime.catalog import CATALOG, find
from ..runtime.device_record import DeviceRecord

KINDS = ("source", "sink")
"""Kinds of entry that have a plug, or stand in for one."""

_HEAD = """\
# Devices

Investigational, not a medical device. What can be connected, what it was tested with, and what it
was not. This page is made from the record beside each class: `python tests/devices_page.py`.

"Tested" means that a test of this project runs it. A protocol that was tested against a stand-in
has been written down twice by the same people, and a real device may differ. How to add one:
[Adding a source](adding-a-source.md), [Adding a sink](adding-a-sink.md).
"""
_TITLES = {"source": "Where samples come from", "sink": "Where commands go"}


def device_entries() -> Iterator[tuple[str, str, DeviceRecord]]:
    """Every source and sink of the catalogue with its record.

    Yields
    ------
    kind, name : str
        As a session file names it.
    tested : DeviceRecord
        The class's record.
    """
    for kind in KINDS:
        for name in CATALOG[kind]:
            yield kind, name, find(kind, name).tested


def devices_page() -> str:
    """The page ``docs/devices.md``.

    Returns
    -------
    text : str
        Markdown.
    """
    lines = [_HEAD]
    entries = list(device_entries())
    for kind in KINDS:
        lines += [f"## {_TITLES[kind]}", ""]
        lines += ["| `kind` | what | tested with | not tested with | needs |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        for _, name, one in (entry for entry in entries if entry[0] == kind):
            needs = f'`pip install "diverloop[{one.extra}]"`' if one.extra else "nothing more"
            lines += [f"| `{name}` | {one.what} | {one.against} | {one.never or '-'} | {needs} |"]
        lines += ["", *_how_to_connect(kind, entries), ""]
    return "\n".join(lines).rstrip() + "\n"


def _how_to_connect(kind: str, entries: list[tuple[str, str, DeviceRecord]]) -> Iterator[str]:
    yield "How to connect:"
    yield ""
    for one_kind, name, tested in entries:
        if one_kind == kind:
            yield f"- `{name}`: {tested.connect}"
