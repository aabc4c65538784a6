"""Every field of every session section, with every kind of wrong value: what the loader answers.

Each mutation must be accepted as valid, or refused with one sentence that names the field; any
other exception, and any NaN that gets through, is a fault. Run from the folder of the checkout:

    python tests/bench/settings_mutations.py [--few] [--accepted]

Prints one JSON object: cases, accepted, refused and faults by kind, each fault with its place.
``--accepted`` lists, for each place, which strange values are taken.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from mutations import cases, judge, subjects

SESSIONS = Path(__file__).resolve().parents[2] / "sessions"


def main() -> None:
    """Run all mutations and print what became of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--few", action="store_true", help="the short form of the suite")
    parser.add_argument("--accepted", action="store_true", help="list what is taken")
    asked = parser.parse_args()
    counts: Counter[str] = Counter()
    faults: dict[str, list[str]] = defaultdict(list)
    taken: dict[str, list[str]] = defaultdict(list)
    began_s, fields = time.perf_counter(), set()
    for name, tables in subjects(SESSIONS).items():
        for place, what, mutation in cases(tables, asked.few):
            where = ".".join(map(str, place))
            fields.add(where)
            verdict = judge(place, mutation)
            kind = verdict.partition(":")[0]
            counts[kind] += 1
            if kind == "accepted":
                taken[where].append(what)
            elif kind != "refused":
                faults[kind].append(f"{name}: {where} = {what}: {verdict}")
    result = {
        "cases": sum(counts.values()),
        "places": len(fields),
        "seconds": round(time.perf_counter() - began_s, 1),
        "counts": dict(counts),
        "faults": {kind: found[:60] for kind, found in faults.items()},
    }
    if asked.accepted:
        result["accepted"] = {where: sorted(set(found)) for where, found in taken.items()}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
