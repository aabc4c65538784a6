"""Memory of training stays where it is while the corpus grows ten-fold."""

from __future__ import annotations

import sys

import pytest

from .test_killed_training import told

pytest.importorskip("torch", reason="training needs torch")

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


def test_ten_times_the_corpus_takes_no_more_memory():
    found = told("corpus_memory.py", "--megabytes", "30", "--steps", "20")
    assert found["10x, more"]["corpus_mb"] == pytest.approx(10 * found["1x"]["corpus_mb"], rel=0.1)
    assert found["growth_mib"] < 20
