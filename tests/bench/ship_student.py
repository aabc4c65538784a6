"""Put a distilled student into the package, with its evaluation on its card.

    python tests/bench/ship_student.py runs/student/student.safetensors --name eeg-s \\
        --corpus runs/corpus --evaluation encoders.json

The card is written anew from the corpus that the student says it has learnt from. The evaluation is
the ``overall`` part of what ``encoders.py`` printed, of a run on this very student. Another corpus
or an evaluation of another student is refused. Prints the line for ``decoders/shipped.py``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from encoders import NOT_COUNTED

from diverloop.decoders.corpus import Corpus
from diverloop.decoders.downloading import file_sha256
from diverloop.decoders.shipped import FOLDER
from diverloop.decoders.student_card import student_card
from diverloop.decoders.student_files import load_student, save_student, student_note


def evaluated(path: Path, student: Path, modality: str) -> dict:
    """The overall scores of a run of ``encoders.py`` on this student."""
    told = json.loads(path.read_text())
    about = told["models"]["eeg" if modality == "EEG" else "ieeg"]
    if about["student"]["sha256"] != file_sha256(student):
        raise SystemExit(f"{path} is of another student than {student}: run encoders.py again.")
    return {
        "overall": told["overall"],
        "lost": told["lost"],
        "tasks": [one["task"] for one in told["tasks"] if one["task"] not in NOT_COUNTED],
    }


def main() -> None:
    """Read the command line, write the file, print its line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("student", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--evaluation", type=Path)
    options = parser.parse_args()
    note = student_note(options.student)
    modality = note["card"]["signal"]["modality"]
    learnt = {(one["name"], one["data_id"]) for one in note["corpus"]["recordings"]}
    entries = Corpus.open(options.corpus).entries
    entries = [entry for entry in entries if (entry.name, entry.data_id) in learnt]
    if len(entries) != len(learnt):
        raise SystemExit(f"{options.student} has learnt from another corpus: name that.")
    student = load_student(options.student)
    note["card"] = student_card(student.config, entries, modality)
    if options.evaluation:
        note["evaluation"] = evaluated(options.evaluation, options.student, modality)
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{options.name}.safetensors"
    sha256 = save_student(student, path, note)
    print(f'        "{options.name}": "{sha256}",')


if __name__ == "__main__":
    main()
