"""The product's commands, ordered by the console: what they say becomes news."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from diverloop.gui.console import news as n
from diverloop.gui.console.command_work import NOTES, CommandWork
from diverloop.gui.console.session import Found, Model, Order, Session
from diverloop.runtime.access import Action, Why
from diverloop.runtime.control_wire import Reply
from diverloop.runtime.errors import AccessError
from diverloop.runtime.limits import State

from ..told import Told, a_session

PERSON = Session(person="P-017")
SCORE = {"accuracy": 0.8, "interval": [0.7, 0.9], "chance": 0.5, "n": 40}
RUN = """
import json, pathlib, time, sys
folder = pathlib.Path(sys.argv[1]) / "session"
folder.mkdir(parents=True)
(folder / "control.json").write_text("{}")
try:
    time.sleep(60)
except KeyboardInterrupt:
    print(json.dumps({"recording": str(folder)}))
"""


def says(facts: dict, *arguments: str) -> tuple[str, ...]:
    """A command that prints facts."""
    return (sys.executable, "-c", f"print({json.dumps(facts)!r})", *arguments)


class Link:
    """A control link that does everything, or nothing."""

    def __init__(self, asked: list, deaf: bool = False, code: str = "") -> None:
        self.asked, self.deaf, self.code = asked, deaf, code

    def ask(self, action, *, code="", text=""):
        self.asked.append((action, text))
        if code != self.code and action is Action.ARM:
            return Reply(1, False, "You are locked.", why=str(Why.LOCKED))
        if self.deaf:
            raise AccessError("Nobody answered.")
        return Reply(1, True, "The guard is armed." if action is Action.ARM else "Done.")

    def close(self):
        """Nothing to close."""


class Bench:
    """A work with commands that only print, and what it told."""

    def __init__(
        self, folder: Path, *, deaf: bool = False, code: str = "", known=None, **commands
    ) -> None:
        self.news, self.heard, self.asked = [], [], []
        self.work = CommandWork(
            commands,
            folder,
            connect=lambda _: Link(self.asked, deaf, code),
            listen=lambda _: Told(a_session(0.5)),
            known=lambda person: known,
        )
        self.work.news.connect(self.news.append)
        self.work.heard.connect(self.heard.append)

    def do(self, qtbot, order: Order) -> n.News:
        """Order something and wait for the next news."""
        before = len(self.news)
        self.work.do(order, PERSON)
        qtbot.waitUntil(lambda: len(self.news) > before, timeout=20_000)
        return self.news[-1]


@pytest.fixture
def bench(tmp_path, request):
    made = []

    def make(**settings) -> Bench:
        made.append(Bench(tmp_path / "kept", **settings))
        return made[-1]

    yield make
    for one in made:
        one.work.close()


def test_a_preflight_check_tells_its_findings_and_a_model_of_today(qtbot, bench):
    model = Model(accuracy=0.8, low=0.7, high=0.9, chance=0.5, trials=40)
    finding = {"name": "session", "ok": True, "got": "x", "advice": ""}
    told = bench(known=(model, Path("m.bundle")), preflight=says({"findings": [finding]}))
    news = told.do(qtbot, Order.PREFLIGHT)
    assert news == n.PreflightDone(
        findings=(Found(name="session", ok=True, detail="x"),), model=model
    )


def test_a_check_that_cannot_be_made_is_a_failure_with_its_sentence(qtbot, bench):
    told = bench(preflight=says({"error": "ConfigError", "message": "No such file."}))
    assert told.do(qtbot, Order.PREFLIGHT) == n.Failed(order=Order.PREFLIGHT, detail="")


def test_without_a_command_for_it_the_signal_is_not_looked_at(qtbot, bench):
    assert bench().do(qtbot, Order.WATCH) == n.SignalUnseen()


def test_the_signal_is_looked_at_again_and_again_until_something_else_is_done(qtbot, bench):
    channel = {"name": "C3", "score": 0.9, "masked": False, "cause": ""}
    told = bench(signal=says({"stream": {"channels": [channel]}}), preflight=says({}))
    told.work.do(Order.WATCH, PERSON)
    qtbot.waitUntil(lambda: len(told.heard) >= 2, timeout=20_000)
    assert told.heard[0].channels == ("C3",)
    told.do(qtbot, Order.PREFLIGHT)
    assert "signal" not in told.work._running


def test_a_calibration_is_recorded_under_the_pseudonym_and_fitted_as_it_says(qtbot, bench):
    facts = {
        "task": "motor_imagery", "plan": {"classes": ["left", "right"]},
        "fit": "diverloop fit x.xdf --task motor_imagery --stop-s 3.5 --out m.bundle",
    }  # fmt: skip
    echo = (
        sys.executable,
        "-c",
        "import json, sys; open(sys.argv[1], 'w').write(json.dumps(sys.argv[2:]));"
        f"print({json.dumps({'scores': {'cross_validation': SCORE}})!r})",
    )
    told = bench(calibrate=says(facts), fit=())
    told.work._folder.mkdir(parents=True)
    arguments = told.work._folder / "arguments"
    fit = (*echo, str(arguments), "{recording}", "{task}", "{classes}", "{stop_s}", "{bundle}")
    told.work._commands["fit"] = fit
    assert told.do(qtbot, Order.CALIBRATE) == n.Calibrated(usable=True)
    news = told.do(qtbot, Order.FIT)
    assert isinstance(news, n.Fitted)
    assert news.model.accuracy == 0.8
    recording, *rest, bundle = json.loads(arguments.read_text())
    assert Path(recording).name.startswith("P-017-")
    assert recording.endswith(".xdf")
    assert rest == ["motor_imagery", "left,right", "3.5"]
    assert bundle.endswith(".bundle")


def test_a_calibration_with_too_few_good_trials_is_told_to_be_unusable(qtbot, bench):
    told = bench(calibrate=says({"task": "motor_imagery", "fit": None}))
    assert told.do(qtbot, Order.CALIBRATE) == n.Calibrated(usable=False)


def test_a_session_is_run_armed_noted_in_ended_proven_and_reported(qtbot, bench):
    told = bench(
        run=(sys.executable, "-c", RUN, "{recordings}"),
        verify=says({"ok": True}),
        report=says({"files": ["r.html", "r.pdf"]}),
    )
    told.work.note("before it began")
    assert told.do(qtbot, Order.RUN) == n.LoopRuns()
    qtbot.waitUntil(lambda: bool(told.heard), timeout=20_000)
    assert told.do(qtbot, Order.ARM) == n.GuardIs(state=State.ARMED)
    told.work.note("while it runs")
    ended = told.do(qtbot, Order.END)
    assert isinstance(ended, n.Ended)
    assert ended.verified is True
    assert ended.folder.endswith("session")
    assert told.do(qtbot, Order.REPORT) == n.Reported(path="r.html")
    notes = [text for action, text in told.asked if action is Action.NOTE]
    assert "before it began" in notes[0]
    assert notes[1] == "while it runs"
    lines = (told.work._folder / NOTES).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["before it began", "while it runs"]


def test_a_stop_that_is_not_answered_is_told_and_ends_the_session(qtbot, bench):
    told = bench(deaf=True, run=(sys.executable, "-c", RUN, "{recordings}"))
    told.do(qtbot, Order.RUN)
    told.work.do(Order.STOP, PERSON)
    qtbot.waitUntil(lambda: isinstance(told.news[-1], n.LoopGone), timeout=20_000)
    assert n.Failed(order=Order.STOP, detail="Nobody answered.") in told.news


def test_a_session_that_cannot_be_watched_is_not_left_running(qtbot, bench):
    told = bench(run=(sys.executable, "-c", RUN, "{recordings}"))

    def refuse(_: Path) -> Told:
        raise AccessError("It tells nothing.")

    told.work._listen = refuse
    assert told.do(qtbot, Order.RUN) == n.Failed(order=Order.RUN, detail="It tells nothing.")
    (command,) = told.work._leaving
    qtbot.waitUntil(lambda: not command.running, timeout=20_000)


SLOW = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


def test_what_runs_for_one_person_tells_nothing_to_the_next_and_leaves_nothing_behind(qtbot, bench):
    fit = says({"scores": {"cross_validation": SCORE}})
    told = bench(calibrate=says({"task": "x", "fit": "--stop-s 3"}), fit=fit, preflight=says({}))
    told.do(qtbot, Order.CALIBRATE)
    told.work.note("of the first one")
    told.work.do(Order.FIT, PERSON)
    (fitting,) = (told.work._running["fit"],)
    told.work.do(Order.PREFLIGHT, Session(person="P-018"))
    qtbot.waitUntil(lambda: not fitting.running, timeout=20_000)
    qtbot.waitUntil(lambda: len(told.news) == 2, timeout=20_000)
    assert isinstance(told.news[-1], n.Failed)  # the check's word, and none of the fit
    assert "bundle" not in told.work._values
    assert told.work._waiting_notes == []


def test_a_calibration_does_not_begin_while_the_one_before_is_being_saved(qtbot, bench):
    told = bench(calibrate=(sys.executable, "-c", SLOW))
    told.work.do(Order.CALIBRATE, PERSON)
    recording = told.work._values["recording"]
    news = told.do(qtbot, Order.CALIBRATE)
    assert isinstance(news, n.Failed)
    assert "still being saved" in news.detail
    assert told.work._values["recording"] == recording
    told.work._running["calibrate"]._process.kill()


def test_the_window_does_not_wait_for_a_command_that_does_not_end(qtbot, bench):
    told = bench(signal=(sys.executable, "-c", SLOW), preflight=says({"findings": []}))
    told.work.do(Order.WATCH, PERSON)
    process = told.work._running["signal"]._process
    qtbot.waitUntil(lambda: process.bytesAvailable() > 0, timeout=20_000)
    told.do(qtbot, Order.PREFLIGHT)
    assert [command.running for command in told.work._leaving] == [True]
    process.kill()


def test_a_participants_screen_that_ends_by_itself_is_told_and_one_that_is_closed_is_not(
    qtbot, bench
):
    broken = (sys.executable, "-c", "import sys; sys.exit('no display')")
    told = bench(run=(sys.executable, "-c", RUN, "{recordings}"), screen_run=broken)
    told.do(qtbot, Order.RUN)
    qtbot.waitUntil(lambda: len(told.news) == 2, timeout=20_000)
    assert told.news[-1] == n.ScreenGone(detail="no display")
    patient = bench(calibrate=says({"fit": None}), screen_calibrate=(sys.executable, "-c", SLOW))
    assert patient.do(qtbot, Order.CALIBRATE) == n.Calibrated(usable=False)
    (screen,) = patient.work._leaving
    screen._process.kill()
    qtbot.waitUntil(lambda: not screen.running, timeout=20_000)
    assert len(patient.news) == 1


def test_a_loop_that_cannot_be_started_again_does_not_hide_what_the_first_one_left(qtbot, bench):
    told = bench(deaf=True, run=(sys.executable, "-c", RUN, "{recordings}"))
    told.do(qtbot, Order.RUN)
    told.work.do(Order.STOP, PERSON)
    qtbot.waitUntil(lambda: isinstance(told.news[-1], n.LoopGone), timeout=20_000)
    told.work._commands["run"] = (sys.executable, "-c", "import sys; sys.exit('no source')")
    assert told.do(qtbot, Order.RUN) == n.Failed(order=Order.RUN, detail="no source")
    ended = told.do(qtbot, Order.END)
    assert isinstance(ended, n.Ended)
    assert ended.folder.endswith("session")


def test_a_session_that_does_not_begin_is_a_failure_with_its_sentence(qtbot, bench):
    broken = "import sys; sys.exit('no model')"
    told = bench(run=(sys.executable, "-c", broken))
    assert told.do(qtbot, Order.RUN) == n.Failed(order=Order.RUN, detail="no model")


def test_who_is_locked_is_asked_for_a_code_and_the_same_is_tried_again(qtbot, bench):
    told = bench(run=(sys.executable, "-c", RUN, "{recordings}"), code="123456")
    wanted = []
    told.work.code_wanted.connect(lambda: wanted.append(1))
    told.work.code("nobody asked")
    told.do(qtbot, Order.RUN)
    assert told.do(qtbot, Order.ARM) == n.Failed(order=Order.ARM, detail="You are locked.")
    assert wanted == [1]
    before = len(told.news)
    told.work.code("123456")
    qtbot.waitUntil(lambda: len(told.news) > before, timeout=20_000)
    assert told.news[-1] == n.GuardIs(state=State.ARMED)


def test_with_no_session_a_stop_is_left_at_once_and_nothing_is_armed(qtbot, bench):
    told = bench()
    assert told.do(qtbot, Order.RESET) == n.ResetDone()
    assert told.do(qtbot, Order.ARM) == n.Failed(order=Order.ARM)
    told.work.do(Order.STOP, PERSON)
    assert len(told.news) == 2
