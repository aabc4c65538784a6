"""The figure: every engine, the floor, the target and the hop are in it."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib", reason="the figure needs matplotlib")

from diverloop.decoders.engines.measuring_plot import plot
from diverloop.runtime.errors import ConfigError


def figures(contexts: tuple[int, ...] = (30,)) -> dict[str, object]:
    """Two engines on two sizes, and one that could not run."""
    sizes = [(channels, context) for context in contexts for channels in (8, 64)]
    engines = [
        {
            "engine": engine,
            "precision": "fp32",
            "channels": channels,
            "context": context,
            "p50_ms": p50_ms,
            "p99_ms": 2 * p50_ms,
        }
        for channels, context in sizes
        for engine, p50_ms in (("torch", 6.0), ("onnxruntime", 1.5))
    ]
    refused = {"engine": "torch-cuda", "precision": "fp32", "refused": "There is no GPU."}
    return {
        "student": {"name": "eeg-s"},
        "hop_ms": 100.0,
        "engines": [*engines, refused],
        "floors": [{"channels": n, "context": c, "floor_ms": 0.4} for n, c in sizes],
    }


@pytest.mark.parametrize("contexts", [(30,), (10, 30)])
def test_the_figure_names_engines_floor_target_and_hop(tmp_path, contexts):
    path = tmp_path / "engines.svg"
    plot(figures(contexts), path)
    text = path.read_text(encoding="utf-8")
    for words in (
        "torch fp32",
        "onnxruntime fp32",
        "arithmetic floor",
        "2 ms",
        "100 ms",
        "channels",
        *(f"eeg-s, context {context} hops" for context in contexts),
    ):
        assert words in text
    assert "torch-cuda" not in text


def test_the_same_figures_give_the_same_picture(tmp_path):
    for name in ("one.svg", "two.svg"):
        plot(figures(), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_a_picture_of_points_is_one(tmp_path):
    plot(figures(), tmp_path / "engines.png")
    assert (tmp_path / "engines.png").read_bytes().startswith(b"\x89PNG")


def test_a_suffix_that_says_no_format_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"engines\.txt"):
        plot(figures(), tmp_path / "engines.txt")


def test_figures_of_nothing_are_not_drawn(tmp_path):
    empty = {**figures(), "engines": []}
    with pytest.raises(ConfigError, match="No engine ran"):
        plot(empty, tmp_path / "engines.svg")


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written"):
        plot(figures(), tmp_path / "no such folder" / "engines.svg")
