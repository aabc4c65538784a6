import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from diverloop.runtime.errors import RecordingError
from diverloop.runtime.messages import Channel, Event, EventKind, Marker, StreamSpec
from diverloop.runtime.record.contents import Note
from diverloop.runtime.record.report import write_report
from diverloop.runtime.record.report.writing import NOTICE

from .conftest import card_of, noise, stream

pytest.importorskip("matplotlib")

SECTIONS = [
    "Signal quality", "Calibration", "Accuracy", "Confidence", "Rhythms", "Around the cues",
    "Delay", "Course of the session", "Notes and events", "Provenance",
]  # fmt: skip
_EMPTY = {"meta", "br"}


class Page(HTMLParser):
    """Reads a page and complains about tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.ids: list[str] = []
        self.titles: list[str] = []
        self.outside: list[str] = []
        self.figures = self.captions = self.labelled = 0
        self.feed(text)
        self.text = " ".join(self.words)

    def handle_starttag(self, tag, attrs):
        if tag not in _EMPTY:
            self.open.append(tag)
        given = dict(attrs)
        self.figures += tag == "figure"
        self.captions += tag == "figcaption"
        self.labelled += tag == "svg" and bool(given.get("aria-label"))
        self.ids += [given["id"]] if "id" in given else []
        links = [given.get(name) or "" for name in ("href", "xlink:href", "src")]
        self.outside += [link for link in links if link and link[0] != "#" and link[:5] != "data:"]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.titles.append(data)
        if "style" not in self.open:
            self.words.append(data.strip())


def page_of(record, path, **given) -> Page:
    return Page(write_report(record, path / "report.html", **given).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def full(whole, tmp_path_factory):
    record, performance = whole
    return page_of(
        record,
        tmp_path_factory.mktemp("full"),
        performance=performance,
        audit={"verdict": "intact"},
    )


def test_a_full_session_has_every_section_in_order(full):
    assert full.titles == SECTIONS
    assert full.open == []


def test_everybody_is_told_what_the_report_is_not(full):
    assert full.text.count(NOTICE) == 2


def test_every_picture_has_a_caption_and_words_for_those_who_cannot_see_it(full):
    assert full.figures == full.captions == full.labelled == 10


def test_the_page_asks_for_nothing_from_outside(full):
    assert full.outside == []


def test_ids_are_unique_across_pictures(full):
    assert len(full.ids) == len(set(full.ids))


def test_captions_carry_the_figures(full):
    assert "33 of 40 trials right" in full.text
    assert "5 decisions missed the deadline of 40.0 ms" in full.text
    assert "power from 8 to 13 hz fell most at c4 with left" in full.text.lower()


def test_hashes_audit_and_remarks_are_there(full, whole):
    assert whole[0].manifest.model_sha256 in full.text
    assert "intact" in full.text
    assert "The file ends without its footer" in full.text


def test_the_same_session_gives_the_same_page(bare_record, tmp_path):
    record = bare_record(noise(4, 2500))
    pages = [
        write_report(record, tmp_path / name, written_utc="2026-11-22T10:00:00+00:00").read_bytes()
        for name in ("a.html", "b.html")
    ]
    assert pages[0] == pages[1]


def test_what_people_typed_cannot_become_markup(bare_record, tmp_path):
    evil = "<script>alert(1)</script>"
    channels = tuple(Channel(name=f"{evil}{i}") for i in range(4))
    spec = StreamSpec(name=evil, rate_hz=250.0, channels=channels)
    record = bare_record(
        noise(4, 20_000),
        spec=spec,
        markers=tuple(Marker(label=evil, sample=1000 + 2500 * i) for i in range(6)),
        notes=(Note(text=evil, who=evil, at_ns=0),),
        remarks=(evil,),
    )
    path = write_report(record, tmp_path / "evil.html", audit={evil: evil}, alarm=evil)
    text = path.read_text(encoding="utf-8")
    assert "<script" not in text
    assert re.search(r"&lt;script&gt;alert\(1\)", text)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: np.zeros((4, 0), np.float32), "too short to judge the signal"),
        (lambda: noise(4, 60), "too short to judge the signal"),
        (lambda: noise(4, 750), "No model was found beside this recording"),
        (lambda: np.zeros((16, 5000), np.float32), "No channel was good for long enough"),
        (lambda: noise(1, 5000), "There were no cues"),
    ],
    ids=["empty", "quarter of a second", "three seconds", "flat", "one channel"],
)
def test_poor_recordings_still_give_a_page_that_says_why(bare_record, tmp_path, make, words):
    page = page_of(bare_record(make()), tmp_path)
    assert words in page.text
    assert page.open == []


def test_sections_with_nothing_to_show_share_one(bare_record, tmp_path):
    page = page_of(bare_record(noise(4, 750)), tmp_path)
    assert page.titles == [
        "Signal quality", "Rhythms", "Course of the session", "Not in this report", "Provenance",
    ]  # fmt: skip
    assert "Delay" in page.words
    assert "There were no cues, so there is nothing that the signal could follow." in page.text


def test_two_trials_are_too_few_to_draw(bare_record, tmp_path):
    markers = tuple(Marker(label=str(i), sample=1500 + 2000 * i) for i in range(2))
    classes = card_of(stream(), classes=("0", "1"))
    page = page_of(bare_record(noise(16, 6000), markers=markers, card=classes), tmp_path)
    assert "Too few whole trials to draw what the signal did: 1 0 and 1 1." in page.text


def test_a_single_block_is_not_told_twice(whole, tmp_path):
    record, performance = whole
    one = dataclasses.replace(performance, blocks=performance.blocks[:1])
    page = page_of(record, tmp_path, performance=one)
    assert "block 1" not in page.words
    assert "all blocks" in page.words


def test_the_settings_take_a_row_for_each_table(full, whole):
    settings = whole[0].manifest.settings
    place = full.words.index("Values")
    rows = [word for word in full.words[place + 1 :] if word]
    assert rows[:5] == [
        "session", "name = motor imagery, week 2", "loop", "deadline_s = 0.04", "stale_s = 0.25",
    ]  # fmt: skip
    assert len(settings) == 3
    assert whole[0].manifest.settings_sha256 in full.text


def test_a_recording_without_any_signal_gives_a_page(bare_record, tmp_path):
    page = page_of(bare_record(noise(4, 5000), lost=((0, 5000),)), tmp_path)
    assert "No whole second of signal reached the recording" in page.text


def test_noise_is_not_sold_as_an_effect(bare_record, tmp_path):
    markers = tuple(Marker(label=str(i % 2), sample=1500 + 2000 * i) for i in range(20))
    page = page_of(bare_record(noise(8, 45_000), markers=markers), tmp_path)
    assert "the classes do not differ clearly at any single place" in page.text


def test_events_are_drawn_as_averages(bare_record, tmp_path):
    signal = noise(16, 15_000)
    labels = ["target" if i % 6 == 2 else "standard" for i in range(200)]
    markers = tuple(Marker(label=name, sample=500 + 60 * i) for i, name in enumerate(labels))
    record = bare_record(
        signal, markers=markers, card=card_of(stream(), "p300", ("standard", "target"))
    )
    page = page_of(record, tmp_path)
    assert "P300 session of 1 min" in page.text
    assert "Milliseconds from the event" in page.text


def test_contacts_in_the_brain_are_not_drawn_on_a_head(bare_record, tmp_path):
    channels = tuple(
        Channel(name=f"G{i}", kind="ecog", position_m=(0.001 * i, 0.01 * (i % 4), 0.01 * (i // 4)))
        for i in range(16)
    )
    spec = StreamSpec(name="grid", rate_hz=500.0, channels=channels)
    markers = tuple(Marker(label="hand", sample=2000 + 4000 * i) for i in range(6))
    page = page_of(bare_record(noise(16, 27_000), spec=spec, markers=markers), tmp_path)
    assert "16 contacts" in page.text
    assert "power from 70 to 120 hz" in page.text.lower()
    assert "nose up" not in page.text


@pytest.mark.parametrize(("rate_hz", "kind"), [(100.0, "ecog"), (8.0, "eeg")])
def test_a_signal_too_slow_for_the_band_is_not_drawn_around_cues(
    bare_record, tmp_path, rate_hz, kind
):
    spec = stream(rate_hz=rate_hz, kind=kind)
    markers = tuple(Marker(label="hand", sample=round((5 + 6 * i) * rate_hz)) for i in range(5))
    record = bare_record(noise(16, round(40 * rate_hz)), spec=spec, markers=markers)
    assert f"At {rate_hz:g} Hz the signal holds nothing from" in page_of(record, tmp_path).text


def test_frequent_events_share_a_row(whole, tmp_path):
    record, _ = whole
    late = next(event for event in record.events if event.kind == "missed")
    many = dataclasses.replace(record, events=record.events + (late,) * 400)
    page = page_of(many, tmp_path)
    assert "Late decision, 405 times" in page.text


def test_events_without_a_place_stand_at_the_start(bare_record, tmp_path):
    lost = Event(kind=EventKind.SOURCE_LOST, text="The stream is gone.")
    guard = Event(kind=EventKind.GUARD, text="The guard is disarmed.")
    page = page_of(bare_record(noise(2, 1000), events=(guard,) + (lost,) * 9), tmp_path)
    assert "Connection lost, 9 times" in page.text
    assert "Nobody pressed stop; output was never allowed." in page.text


def test_a_place_that_cannot_be_written_is_named(bare_record, tmp_path):
    with pytest.raises(RecordingError, match="choose another place"):
        write_report(bare_record(noise(2, 500)), tmp_path / "no" / "report.html")
