"""What each page says and offers: a pure function of the session, in the words of a language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from .session import Act, Checked, Found, Model, Order, Output, Session, Step
from .steps import model_of_today
from .words import Words

_EARLY = 8  # trials before anything is said of how it goes
_GOES = ((0.6, "goes_very_well"), (0.3, "goes_well"), (0.1, "goes_slightly"))
_FOUND = (
    "session", "settings", "model", "mapping", "signature", "flicker", "free_disk", "machine",
    "lsl", "program",
)  # fmt: skip
_ENDS = tuple(s for s in Step if s not in (Step.IDENTIFY, Step.CLOSE, Step.REPORT))
_MARKS = {True: "mark_good", None: "mark_doubtful", False: "mark_bad"}
_SIGNS = {True: "✓", None: "!", False: "✗"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Something that a person can do here: one button and one key."""

    act: Act
    label: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of a page: a sign that tells good from bad without colour, what, and how it is."""

    sign: str
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page says.

    Parameters
    ----------
    head, now, todo : str
        Where we are, what happens now, what to do next.
    main : Choice, optional
        The next right thing; None while there is nothing to do but wait.
    others : tuple of Choice
        What else can be done.
    facts : tuple of Fact
        Beside that.
    detail : str
        For a technician, as a program said it.
    wait : str
        Name of what the main button says while there is nothing to do.
    """

    head: str
    now: str
    todo: str
    main: Choice | None = None
    others: tuple[Choice, ...] = ()
    facts: tuple[Fact, ...] = ()
    detail: str = ""
    wait: str = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long feedback has been on in all, and how long this break is, in seconds."""

    feedback_s: float = 0.0
    break_s: float = 0.0
    break_due: bool = False


def page_of(session: Session, words: Words, times: Times | None = None) -> Page:
    """Say what a page shows.

    Parameters
    ----------
    session : Session
        As it is.
    words : Words
        A language.
    times : Times, optional
        For feedback and break.

    Returns
    -------
    page : Page
        In that language.
    """
    writer = _Writer(session, words, times or Times())
    ending = session.step is Step.CLOSE and session.begun and not session.recorded
    if session.output is Output.STOPPED and not ending:
        return writer.stopped()
    return _PAGES[session.step](writer)


def how_it_goes(hits: int, trials: int, chance: float) -> str:
    """How feedback goes, as a word of `words`: what is right beyond guessing, as a share."""
    if not trials:
        return "goes_unknown"
    if trials < _EARLY:
        return "goes_early"
    beyond = (hits / trials - chance) / (1 - chance) if chance < 1 else 0.0
    return next((key for least, key in _GOES if beyond >= least), "goes_chance")


class _Writer:
    """Writes the page of each step."""

    def __init__(self, session: Session, words: Words, times: Times) -> None:
        self.session, self.words, self.times = session, words, times

    def page(
        self,
        part: str,
        main: Choice | None = None,
        *others: Choice,
        facts: tuple[Fact, ...] = (),
        **values: str,
    ) -> Page:
        """The sentences of a part: ``preflight_now_good`` and so on."""
        words, step = self.words, self.session.step
        now, todo = f"{step}_now{part}", f"{step}_todo{part}"
        return Page(
            head=words(f"{step}_head"),
            now=words(now, **values),
            todo=words(todo) if words.has(todo) else "",
            main=main,
            others=others,
            facts=facts,
            detail=self.session.trouble_detail if self.session.trouble else "",
        )

    def choice(self, act: Act, key: str = "Return", label: str = "") -> Choice:
        """A button."""
        return Choice(act=act, label=self.words(label or f"do_{act}"), key=key)

    @property
    def end(self) -> Choice:
        """To the page that asks whether to end."""
        return self.choice(Act.END, "E")

    def stopped(self) -> Page:
        """The same from everywhere."""
        words = self.words
        return Page(
            head=words(f"{self.session.step}_head"),
            now=words("stopped_now"),
            todo=words(
                "trouble_reset" if self.session.trouble == "trouble_reset" else "stopped_todo"
            ),
            main=self.choice(Act.RESET),
            others=(self.end,) if self.session.step in _ENDS else (),
            detail=self.session.trouble_detail if self.session.trouble else "",
        )

    def identify(self) -> Page:
        """Who."""
        return self.page("", self.choice(Act.IDENTIFY))

    def preflight(self) -> Page:
        """The equipment."""
        if self.session.task is Order.PREFLIGHT:
            return self.page("_wait", None, self.end)
        facts = tuple(self.found(one) for one in self.session.findings)
        if self.session.checked in (Checked.BAD, Checked.NOT_YET):
            detail = "; ".join(one.detail for one in self.session.findings if one.ok is False)
            again = self.choice(Act.CHECK_AGAIN)
            made = self.page("_bad", again, self.end, facts=facts)
            return made if made.detail else replace(made, detail=detail)
        again = self.choice(Act.CHECK_AGAIN, "C")
        part = "_good" if self.session.checked is Checked.GOOD else "_doubtful"
        return self.page(part, self.choice(Act.TO_SIGNAL), again, self.end, facts=facts)

    def found(self, one: Found) -> Fact:
        """A line about what was looked at."""
        name = one.name.replace(" ", "_").lower()
        return Fact(
            sign=_SIGNS[one.ok],
            name=self.words(f"find_{name}" if name in _FOUND else "find_other"),
            value=self.words(_MARKS[one.ok]),
        )

    def signal(self) -> Page:
        """The electrodes."""
        session = self.session
        if not session.electrodes and session.watchable:
            return self.page("_wait", None, self.end)
        if session.too_many_bad:
            page = self.page("_bad", None, self.end, names=session.named_bad)
            return replace(page, wait="wait_electrodes")
        skip = model_of_today(session) is not None
        calibrate = self.choice(Act.TO_CALIBRATION, "C" if skip else "Return")
        choices = (self.choice(Act.USE_MODEL), calibrate) if skip else (calibrate,)
        part = "_good" if session.watchable else "_unknown"
        page = self.page(part, *choices, self.end)
        if not session.bad:
            return page
        return replace(page, now=self.words("signal_now_some", names=session.named_bad))

    def calibration(self) -> Page:
        """Calibration and fit."""
        session = self.session
        if session.task is Order.CALIBRATE:
            facts: tuple[Fact, ...] = ()
            if session.of:
                count = f"{session.done} / {session.of}"
                facts = (Fact(sign="▸", name=self.words("fact_trials"), value=count),)
            early = self.choice(Act.END_CALIBRATION, "X")
            return self.failed(self.page("_running", None, early, self.end, facts=facts))
        if session.task is Order.FIT:
            return self.page("_fit", None, self.end)
        if session.too_many_bad:  # an electrode came off meanwhile
            return self.page(
                "_ready", self.choice(Act.TO_SIGNAL, label="do_signal_again"), self.end
            )
        back = self.choice(Act.TO_SIGNAL, "B", "do_signal_again")
        if session.trouble:
            anew = self.choice(Act.CALIBRATE, label="do_calibrate_again")
            return self.failed(self.page("_failed", anew, back, self.end))
        return self.page("_ready", self.choice(Act.CALIBRATE), back, self.end)

    def decision(self) -> Page:
        """Go or no-go."""
        model = self.session.model
        if model is None:  # cannot be reached without one, but a page is never blank
            return self.page("_poor", self.choice(Act.TO_CALIBRATION, label="do_calibrate_again"))
        bad = self.session.too_many_bad
        good = model.beats_chance and model.fits_signal is not False and not bad
        key = "C" if good else "Return"
        again = self.choice(Act.TO_CALIBRATION, key, "do_calibrate_again")
        if bad:
            again = self.choice(Act.TO_SIGNAL, key, "do_signal_again")
        go = self.choice(Act.APPROVE, *(() if good else ("G", "do_approve_anyway")))
        choices = (go, again) if good else (again, go)
        part = "_good" if good else "_poor"
        return self.page(part, *choices, self.end, facts=self.about(model))

    def about(self, model: Model) -> tuple[Fact, ...]:
        """How good a model is, in numbers of a hundred."""
        words, sure = self.words, model.beats_chance
        if not model.trials:
            return (Fact(sign="!", name=words("decision_untested"), value=""),)
        share = {
            name: f"{100 * getattr(model, name):.0f}"
            for name in ("accuracy", "low", "high", "chance")
        }
        fits = {True: "decision_fits", False: "decision_fits_not", None: "decision_fits_unknown"}
        right = words("decision_right", percent=share["accuracy"])
        between = words(
            "decision_range", low=share["low"], high=share["high"], chance=share["chance"]
        )
        return (
            Fact(sign="✓" if sure else "!", name=right, value=""),
            Fact(sign="✓" if sure else "!", name=between, value=""),
            Fact(sign=_SIGNS[model.fits_signal], name=words(fits[model.fits_signal]), value=""),
        )

    def feedback(self) -> Page:
        """A block."""
        session = self.session
        if session.task is Order.RUN:
            return self.page("_loading", None, self.end)
        if not session.running:
            return self.failed(self.page("_gone", self.choice(Act.RESTART), self.end))
        pause = self.choice(Act.BREAK)
        facts = self.course()
        match session.output:
            case Output.ON:
                page = self.page("_on", pause, self.end, facts=facts)
                if self.times.break_due:
                    page = replace(page, now=self.words("break_due"))
                return self.failed(page)
            case Output.HOLDING:
                return self.failed(self.page("_holding", pause, self.end, facts=facts))
            case Output.ASKED:
                return self.page("_asked", None, self.end)
        return self.failed(self.page("_ready", self.choice(Act.START), self.end))

    def failed(self, page: Page) -> Page:
        """The same page; what failed last, if anything did, goes before what happens now."""
        trouble = self.session.trouble
        return replace(page, now=self.words(trouble)) if trouble else page

    def course(self) -> tuple[Fact, ...]:
        """Time, trials, how it goes."""
        session, words = self.session, self.words
        chance = session.model.chance if session.model else 0.5
        facts = [Fact(sign="▸", name=words("fact_time"), value=self.span(self.times.feedback_s))]
        if session.trials:
            right = words("right_of", hits=str(session.hits), trials=str(session.trials))
            facts.append(Fact(sign="▸", name=words("fact_trials"), value=right))
        goes = words(how_it_goes(session.hits, session.trials, chance))
        return (*facts, Fact(sign="▸", name=words("fact_goes"), value=goes))

    def pause(self) -> Page:
        """A break."""
        session, words = self.session, self.words
        span = Fact(sign="▸", name=words("fact_break"), value=self.span(self.times.break_s))
        if session.running:
            main = self.choice(Act.START, label="do_resume")
        else:
            main = self.choice(Act.RESTART)
        return self.failed(self.page("", main, self.end, facts=(span, *self.course())))

    def close(self) -> Page:
        """The end, asked for and done."""
        session = self.session
        next_person = self.choice(Act.NEXT_PERSON, "P")
        kept = Fact(sign="▸", name=self.words("fact_recorded"), value=session.recorded)
        if session.recorded:
            part = {True: "_good", None: "_unchecked", False: "_bad"}[session.verified]
            page = self.page(part, self.choice(Act.REPORT), next_person, facts=(kept,))
            todo = page.todo or self.words("close_todo_good")
            return replace(page, todo=todo)
        if session.task is Order.END:
            return self.page("_saving")
        back = self.choice(Act.BACK, "B")
        if session.task is Order.RUN:
            now, todo = (self.words(f"feedback_{part}_loading") for part in ("now", "todo"))
            return replace(self.page("_ask", None, back), now=now, todo=todo)
        if session.begun or session.running:
            page = self.page("_ask", self.choice(Act.FINISH), back)
            failed = session.trouble == "trouble_end"
            return replace(page, now=self.words(session.trouble)) if failed else page
        return self.page("_empty", self.choice(Act.NEXT_PERSON), back)

    def report(self) -> Page:
        """The report."""
        session, words = self.session, self.words
        if session.task is Order.REPORT:
            return self.page("_wait")
        again = self.choice(Act.NEXT_PERSON, "P")
        if not session.report:
            return self.page("_failed", self.choice(Act.REPORT), again)
        where = Fact(sign="▸", name=words("fact_report"), value=session.report)
        return self.failed(self.page("_done", self.choice(Act.OPEN), again, facts=(where,)))

    def span(self, seconds: float) -> str:
        """Minutes and seconds."""
        minutes, rest = divmod(int(seconds), 60)
        return self.words("minutes", minutes=str(minutes), seconds=str(rest))


_PAGES: dict[Step, Callable[[_Writer], Page]] = {
    Step.IDENTIFY: _Writer.identify,
    Step.PREFLIGHT: _Writer.preflight,
    Step.SIGNAL: _Writer.signal,
    Step.CALIBRATION: _Writer.calibration,
    Step.DECISION: _Writer.decision,
    Step.FEEDBACK: _Writer.feedback,
    Step.BREAK: _Writer.pause,
    Step.CLOSE: _Writer.close,
    Step.REPORT: _Writer.report,
}
