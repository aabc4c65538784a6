"""The performance page is what its benchmarks said, and each of them is there to be run."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.performance import FIGURES, PAGE, ROOT, Bench, Figure, page, read_list, section

BENCHES = read_list()
KEPT = json.loads(FIGURES.read_text(encoding="utf-8"))


@pytest.mark.parametrize("bench", BENCHES, ids=[bench.id for bench in BENCHES])
def test_every_benchmark_is_there_and_every_figure_was_measured(bench):
    assert (ROOT / shlex.split(bench.command)[0]).is_file()
    assert set(KEPT[bench.id]["values"]) == {figure.what for figure in bench.figures}


def test_the_page_is_what_the_figures_say():
    assert PAGE.read_text(encoding="utf-8") == page(BENCHES, KEPT), (
        "run python tests/performance.py --page"
    )


def test_a_figure_is_found_by_names_and_places_and_a_wrong_name_is_no_figure():
    figure = Figure(what="p99", at="rows/1/p99_ms", unit="ms", times=1000)
    assert figure.read({"rows": [{}, {"p99_ms": 0.25}]}) == 250
    with pytest.raises(KeyError):
        figure.read({"rows": [{}, {"p50_ms": 0.25}]})


def test_a_benchmark_without_figures_says_so():
    bench = Bench(id="x", title="X", command="x.py", about="", figures=())
    assert "Not measured yet." in section(bench, None)
