from __future__ import annotations

import base64
import hashlib
import re

from diverloop.gui.look import DARK, LIGHT, contrast
from diverloop.gui.web_page import PAGE, POLICY


def test_the_policy_allows_exactly_the_style_and_the_script_of_the_page():
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", PAGE.decode(), flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in POLICY


def test_the_page_writes_texts_and_never_markup():
    page = PAGE.decode()
    assert "textContent" in page
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", page)
    assert not re.search(r"<[^>]+\son\w+=", page)
    assert " style=" not in page


def test_the_big_words_are_readable_in_both_looks():
    for look in (DARK, LIGHT):
        for colour in (look.good, look.doubtful, look.bad, look.text, look.faint):
            assert contrast(colour, look.surface) >= 4.5
