import sys

import pytest

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.record.report.drawing import colours, dashes, picture


def draw_line(figure):
    figure.subplots().plot([0, 1], [0, 1])


def test_a_picture_is_a_figure_with_caption_and_label():
    pytest.importorskip("matplotlib")
    html = picture("x", 2.0, draw_line, caption="a < b", alt='say "hi" & <go>')
    assert html.startswith("<figure><svg")
    assert 'aria-label="say &quot;hi&quot; &amp; &lt;go&gt;"' in html
    assert html.endswith("<figcaption>a &lt; b</figcaption></figure>")


def test_the_same_drawing_gives_the_same_bytes():
    pytest.importorskip("matplotlib")
    first, second = (picture("x", 2.0, draw_line, caption="", alt="") for _ in range(2))
    assert first == second


def test_drawing_leaves_the_settings_of_matplotlib_alone():
    matplotlib = pytest.importorskip("matplotlib")
    before = dict(matplotlib.rcParams)
    picture("x", 2.0, draw_line, caption="", alt="")
    assert dict(matplotlib.rcParams) == before


def test_classes_differ_in_colour_and_in_dash():
    labels = ["a", "b", "c", "d", "e", "f"]
    assert len(set(colours(labels).values())) == 6
    assert len({str(dash) for dash in dashes(labels).values()}) == 6


def test_without_matplotlib_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"diverloop\[report\]"):
        picture("x", 2.0, draw_line, caption="", alt="")
