"""Compiling and measuring from the command line, and what runs in a session after it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="compiling needs torch")
pytest.importorskip("onnx", reason="compiling needs onnx")
pytest.importorskip("onnxscript", reason="compiling needs onnxscript")

from diverloop.decoders.student_files import save_student
from diverloop.runtime.bundle import load_bundle

from . import compiled as made
from .modelled import saved, write_npz
from .test_cli import call, refused, told


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def bundle(folder) -> Path:
    """A student fitted on a simulated participant."""
    student = folder / "small.safetensors"
    save_student(made.step().student, student, {})
    write_npz(folder / "labelled.npz", seconds=60.0)
    path = folder / "model.bundle"
    told(
        "fit", folder / "labelled.npz", "--classes", "left,right", "--out", path,
        "--encoder", "student", "--student", student,
    )  # fmt: skip
    return path


def test_a_compiled_model_runs_records_and_replays_on_the_same_engine(bundle, folder):
    compiled = told("compile", bundle)
    (file,) = compiled["files"]
    assert file["off_by"] < 1e-4
    assert file["hop_ms"] > 0
    session = folder / "session.toml"
    session.write_text(
        f'[session]\nname = "compiled"\n[source]\nkind = "replay"\n'
        f'path = "{folder / "labelled.npz"}"\n[model]\nbundle = "{bundle}"\n'
    )
    run = told(
        "run", session, "--no-view", "--seconds", 20, "--recordings", folder / "recordings"
    )  # fmt: skip
    assert run["engine"] == "onnxruntime:fp32"
    assert run["engine_notes"] == []
    assert run["counts"]["decoded"] > 0
    (kept,) = (folder / "recordings").iterdir()
    proof = told("verify", kept)
    assert proof["replay"]["first"] is None
    assert proof["replay"]["n_bit_equal"] == proof["replay"]["n_decoded"] > 0


def test_engines_decide_alike(bundle, folder):
    reports = ("--reports", folder / "reports")
    decided = {}
    for engine in ("torch", "onnxruntime"):
        lines = folder / f"{engine}.jsonl"
        arguments = ("--model", bundle, "--engine", engine, "--decisions", lines, *reports)
        assert told("replay", folder / "labelled.npz", *arguments)["engine"] == f"{engine}:fp32"
        rows = [json.loads(line) for line in lines.read_text().splitlines()]
        decided[engine] = [row["label"] for row in rows if "label" in row]
    same = [a == b for a, b in zip(decided["torch"], decided["onnxruntime"], strict=True)]
    assert len(same) > 100
    assert sum(same) >= len(same) - 1  # a tie may fall either way


@pytest.mark.long
def test_eight_bit_integers_need_recordings(bundle, folder):
    assert "--on" in refused("compile", bundle, "--target", "cpu-int8")["message"]
    on = ("--on", folder / "labelled.npz")
    files = told("compile", bundle, "--target", "cpu-int8", *on)["files"]
    assert {file["precision"] for file in files} == {"fp32", "int8"}


def test_ranges_cannot_be_found_on_what_ends_before_the_filters_settle(bundle, folder):
    short = write_npz(folder / "short.npz", seconds=3.0)
    message = refused("compile", bundle, "--target", "cpu-int8", "--on", short)["message"]
    assert "short.npz holds no 2 s without a hole" in message


def test_a_plan_for_a_gpu_elsewhere_lies_beside_the_graph(bundle):
    pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt-rtx is not installed")
    files = told("compile", bundle, "--target", "rtx-8.9")["files"]
    assert files[-1]["made_for"].startswith("compute 8.9")
    assert (bundle / "engines" / files[-1]["file"]).stat().st_size == files[-1]["bytes"]
    assert load_bundle(bundle).card.encoder == "student"


@pytest.mark.parametrize(
    ("target", "said"), [("rtx", "got 'rtx'"), ("tpu", "got 'tpu'"), ("rtx-9", "got 'rtx-9'")]
)
def test_an_unknown_target_is_told_with_those_that_are(bundle, target, said):
    message = refused("compile", bundle, "--target", target)["message"]
    assert said in message
    assert "cpu-int8" in message


def test_a_model_without_a_student_has_nothing_to_compile(tmp_path):
    assert "runs as it is" in refused("compile", saved(tmp_path))["message"]


@pytest.mark.long
def test_engines_are_measured_side_by_side(folder):
    arguments = (
        "bench", "engines", folder / "small.safetensors", "--engines", "torch,onnxruntime,tensorrt",
        "--channels", "2", "--rounds", 2, "--hops", 3, "--ticks-s", 0.1,
    )  # fmt: skip
    shown = call(*arguments).stdout
    assert "x torch" in shown  # at the 80 columns of a plain terminal
    assert "onnxruntime fp32" in shown
    assert "tensorrt" in shown  # why there is none


def test_what_is_no_number_is_refused():
    message = refused("bench", "engines", "--channels", "many")["message"]
    assert message == "--channels takes whole numbers with commas between, got 'many'."
