"""Feed a parser input that atheris (libFuzzer) chooses by the lines it reaches, and report as JSON.

    python tests/bench/fuzz_coverage.py --target tape_line --seconds 60 [--keep FOLDER]

Needs the extra ``fuzz`` (``pip install -e '.[fuzz]'``). The parsers are those of
`tests/faults/parsers.py`; what is reached is counted in the Python code of diverloop, not in the
libraries of others. libFuzzer changes inputs by its own means and, every other time, by those of
`tests/faults/hostile.py`. Inputs that reach new code stay in ``--keep/TARGET`` and are begun with
the next time. It stops at the first finding, which lies beside them.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

_CHILD = "--child"


def child(name: str, seconds: int, keep: Path) -> None:
    """Run libFuzzer in this process; it never returns."""
    import atheris

    with atheris.instrument_imports(include=["diverloop"]):
        from tests.faults.hostile import MOST_BYTES, drawn, forge
        from tests.faults.one_case import feed
        from tests.faults.parsers import TARGETS

        target = TARGETS[name]
        folder = Path(tempfile.mkdtemp())
        for file in target.files:  # what it needs is imported, and so instrumented, here
            feed(target, file, folder, 60.0)

    def one(data: bytes) -> None:
        outcome = feed(target, data, folder)
        if outcome.bad:
            raise RuntimeError(f"{outcome.kind} {outcome.told}")

    def change(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.5:
            return atheris.Mutate(data, most)
        changed = forge([data, *target.files], target.form, 0, drawn(target.form, random)[1])
        return changed[:most]

    options = [f"-max_total_time={seconds}", f"-max_len={min(MOST_BYTES, 1 << 17)}"]
    options += ["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-seed=1"]
    options += [f"-artifact_prefix={keep}/finding-{name}-", str(keep / name)]
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=change)
    atheris.Fuzz()


def main() -> None:
    """Run what the command line says."""
    from tests.faults.parsers import TARGETS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", required=True, choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz-coverage"))
    parser.add_argument(_CHILD, action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        child(chosen.target, chosen.seconds, chosen.keep)
        return
    corpus = chosen.keep / chosen.target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(TARGETS[chosen.target].files):
        (corpus / f"seed-{number}").write_bytes(data)
    done = subprocess.run(
        [sys.executable, *sys.argv, _CHILD], capture_output=True, text=True, check=False
    )
    if "No module named 'atheris'" in done.stderr:
        sys.exit("atheris is not installed: pip install -e '.[fuzz]'")
    reached = [int(n) for n in re.findall(r"\bcov: (\d+)", done.stderr)]
    cases = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    report = {
        "target": chosen.target,
        "cases": int(cases.group(1)) if cases else 0,
        "places_reached_at_first": min(reached, default=0),
        "places_reached": max(reached, default=0),
        "inputs_kept": len(list(corpus.iterdir())),
        "ended_well": done.returncode == 0,
        "findings": sorted(map(str, chosen.keep.glob(f"finding-{chosen.target}-*"))),
        "last_words": "" if done.returncode == 0 else done.stderr[-1500:],
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
