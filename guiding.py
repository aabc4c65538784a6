"""A guided calibration, run: shows what to do, marks it in the stream, records, repeats, stops.

The stream is the clock. What is recorded is a recording like any other: cues as markers, and
``"reject"`` behind a trial that does not count.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from .guiding_look import SoFar, Submit, at_once, look_at, way_of
from .guiding_report import GuidedReport
from .hardware.mapped import mapped_as
from .runtime.catalog import find
from .runtime.errors import ConfigError, DiverloopError, RecordingError
from .runtime.guide_file import GuideConfig
from .runtime.marking import MarkedSource
from .runtime.messages import Chunk, StreamSpec
from .runtime.paradigms.guided import GuidedCalibration
from .runtime.paradigms.guided_course import GuidedCourse, Scene
from .runtime.paradigms.guided_plan import REJECT, GuidedPhase, GuidedTrial
from .runtime.record.plain_recording import PlainRecording
from .runtime.shield import Kept
from .runtime.stages import Clock, Source
from .runtime.trial_watch import TrialWatch

_PIECE_S = 0.1  # of signal to wait for at a time, so that a wish to stop is heard
_PATIENCE_NS = 250_000_000
_SILENT_NS = 2_000_000_000
_NO_SIGNAL = "Wait. No signal is coming."
_TAIL_S = 1.0  # recorded behind the end, for filters that delay


@runtime_checkable
class TakesCues(Protocol):
    """A source that is a simulated person, who has to be told what is asked for."""

    def cue(self, label: str) -> None:
        """See a cue now; empty for the end of the task."""


def open_source(guide: GuideConfig, clock: Clock) -> Source:
    """The source of a guide; a simulated person waits for its cues.

    Parameters
    ----------
    guide : GuideConfig
        Checked settings.
    clock : Clock
        When samples come.

    Returns
    -------
    source : Source
        Not yet open.

    Raises
    ------
    ConfigError
        If the simulated person does another task, or knows other classes.
    """
    settings, kind = guide.source.settings, find("source", guide.source.kind)
    if hasattr(settings, "cued"):
        known = settings.classes or guide.plan.classes
        settings = replace(settings, cued=True, classes=known)
        if unknown := [name for name in guide.plan.classes if name not in known]:
            raise ConfigError(
                f"source.classes are {', '.join(known)}, and calibration.classes ask for "
                f"{', '.join(unknown)}, too: give both the same."
            )
    source: Source = kind(settings, clock)
    return source


class Guiding:
    """Runs one guided calibration; from one thread, but for `stop`.

    Parameters
    ----------
    guide : GuideConfig
        What was asked for.
    clock : Clock
        The source's clock.
    seed : int
        Order and rests follow from it.
    show : callable
        Told each scene when it begins.
    submit : callable
        Takes a look at what was recorded, and gives a future; `at_once`, or that of a thread.
    source : Source, optional
        Instead of the guide's own.
    tell : callable
        Told the stream, and what comes of it.

    Raises
    ------
    ConfigError
        If the task cannot be guided, or the guide does not fit it.
    """

    def __init__(
        self,
        guide: GuideConfig,
        clock: Clock,
        *,
        seed: int = 0,
        show: Callable[[Scene], None] = lambda scene: None,
        submit: Submit = at_once,
        source: Source | None = None,
        tell: Callable[[StreamSpec | Chunk], None] = lambda message: None,
    ) -> None:
        self.guide, self._clock, self._seed = guide, clock, seed
        self._show_scene, self._submit, self._tell = show, submit, tell
        self._way = way_of(guide)
        self._guided = GuidedCalibration(guide.plan, seed, guide.limits)
        source = source or open_source(guide, clock)
        self._person = source if isinstance(source, TakesCues) else None
        own = (*guide.plan.classes, guide.plan.end_marker, "pause", REJECT)
        self._source = MarkedSource(mapped_as(guide.montage, source), own)
        self._watch = TrialWatch(self._way.conditioning)
        self._looking: Future[tuple[int, int]] | None = None
        self._look_due = False
        self._pause_from = 0
        self._end = math.inf  # stream index at which it is over, once that is known
        self._stop_asked = self._silent = False
        self._heard_ns = 0
        self._last = ""
        self._trials: list[dict[str, Any]] = []
        self._notes: list[str] = []

    def stop(self) -> None:
        """Ask it to end at once; what was recorded is kept. May be called from any thread."""
        self._stop_asked = True

    def run(self, path: Path) -> GuidedReport:
        """Run until it is over, the stream ends, or `stop` is called.

        Parameters
        ----------
        path : Path
            The recording to write, NAME.xdf; must not exist yet.

        Returns
        -------
        report : GuidedReport
            What it came to.

        Raises
        ------
        SourceError
            If the stream cannot be opened, or breaks off.
        RecordingError
            If the recording cannot be written, or nothing came that could be.
        """
        with ExitStack() as stack:
            stack.callback(self._source.close)
            self._source.open()
            spec = self._source.spec
            self._tell(spec)
            self._watch.open(spec)
            self._so_far, self._course = SoFar(spec), GuidedCourse(spec.rate_hz)
            self._path = path
            self._file = PlainRecording(
                path,
                spec,
                created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
                told={
                    "task": self.guide.task,
                    "participant": self.guide.participant,
                    "operator": self.guide.operator,
                    "plan": dataclasses.asdict(self.guide.plan),
                    "seed": self._seed,
                },
            )
            stack.callback(self._finish)
            self._heard_ns = self._clock.now_ns()
            self._wait_for("Wait. It begins when the signal comes.")
            while not (self._stop_asked or self._source.ended or self._source.came >= self._end):
                self._turn()
        return self._report(path)

    def _turn(self) -> None:
        most = max(1, round(_PIECE_S * self._source.spec.rate_hz))
        wanted = self._course.wanted(self._source.came, most)
        chunk = self._source.read(wanted, self._clock.now_ns() + _PATIENCE_NS)
        if chunk is None or not chunk.samples.shape[1]:
            self._check_silence()
        if chunk is not None:
            self._take(chunk)
        if chunk is None or not chunk.samples.shape[1]:
            return
        self._heard_ns = self._clock.now_ns()
        if self._silent:
            self._silent = False
            self._show_scene(self._scene)
        for phase in self._course.due(self._source.came):
            self._begin(phase)
        if self._course.over:
            self._judge()
        if self._course.trial is None and self._guided.ended == "":
            self._go_on()

    def _take(self, chunk: Chunk) -> None:
        """Record first: whatever fails afterwards, what came is kept."""
        self._file.take(chunk)
        self._so_far.take(chunk)
        self._watch.take(chunk)
        self._tell(chunk)

    def _begin(self, phase: GuidedPhase) -> None:
        trial = self._course.trial
        assert trial is not None
        if phase.marker:
            self._source.mark(phase.marker)
        if self._person and phase.kind in ("cue", "end"):
            self._person.cue(phase.marker if phase.kind == "cue" else "")
        self._show(phase.kind, phase.instruction, trial)

    def _judge(self) -> None:
        trial = self._course.trial
        assert trial is not None
        quality = self._watch.quality(*self._course.span)
        verdict = self._guided.judge(trial, quality)
        if not verdict.kept:
            self._source.mark(REJECT)
        self._last = verdict.sentence
        self._trials.append(
            {
                "number": trial.number,
                "label": trial.label,
                "attempt": trial.attempt,
                "kept": verdict.kept,
                "sentence": verdict.sentence,
                "quality": dataclasses.asdict(quality),
            }
        )
        self._course.begin(None, self._source.came)
        self._pause_from = self._source.came
        self._look_due = self._guided.at_a_check

    def _go_on(self) -> None:
        """Look at what there is, or let the next trial begin."""
        if self._look_due:
            if self._source.waiting:
                return  # the verdict on the last trial is not in the recording yet
            self._look_due = False
            self._wait_for("Pause. Move, blink, stretch.")
            recording, way = self._so_far.recording(), self._way
            self._looking = self._submit(lambda: look_at(recording, way))
        if self._looking is not None:
            if not self._looking.done():
                return
            self._hear(self._looking)
            self._looking = None
        trial = self._guided.next_trial()
        if trial is None:
            self._end_here()
        else:
            self._course.begin(trial, self._start_of(trial))
            for phase in self._course.due(self._source.came):
                self._begin(phase)

    def _start_of(self, trial: GuidedTrial) -> int:
        """Now; where a pause comes first, the time that looking took is part of it."""
        came, first = self._source.came, trial.phases[0]
        if first.kind != "pause":
            return came
        longest = round((first.stop_s - first.start_s) * self._source.spec.rate_hz)
        return max(self._pause_from, came - longest)

    def _hear(self, looked: Future[tuple[int, int]]) -> None:
        """A look is advice: whatever goes wrong with one, the person has done the trials."""
        with Kept() as kept:
            n_right, n_judged = looked.result()
        if kept.error is None:
            self._guided.tell(n_right, n_judged)
            return
        ours = isinstance(kept.error, DiverloopError)
        why = str(kept.error) if ours else f"{type(kept.error).__name__}: {kept.error}"
        self._notes.append(f"The trials so far could not be judged: {why}")

    def _end_here(self) -> None:
        if self._end == math.inf:
            self._end = self._source.came + round(_TAIL_S * self._source.spec.rate_hz)
            self._show("over", f"It is over. {self._guided.summary().sentence}", None)

    def _finish(self) -> None:
        """Let nothing be lost: a trial that was cut short is rejected, and all is written."""
        try:
            if not self._guided.ended:
                why = "It was stopped" if self._stop_asked else "The stream ended"
                self._notes.append(f"{why} before the calibration was over.")
                self._guided.stop()
                if self._course.cued:
                    self._source.mark(REJECT)
            self._file.take(self._source.flush())
        finally:
            self._file.close()
            if not self._file.n_samples:
                self._path.unlink()

    def _report(self, path: Path) -> GuidedReport:
        if not self._file.n_samples:
            raise RecordingError(
                "Nothing was recorded, because no sample came: check that the stream is running."
            )
        recording = self._so_far.recording()
        if recording.gaps:
            lost = sum(stop - first for first, stop in recording.gaps)
            self._notes.append(f"{lost} samples were lost; the recording says where.")
        return GuidedReport(
            guide=self.guide,
            seed=self._seed,
            path=path,
            seconds=recording.duration_s,
            summary=self._guided.summary(),
            plan=self._way,
            trials=tuple(self._trials),
            notes=tuple(self._notes),
        )

    def _check_silence(self) -> None:
        if not self._silent and self._clock.now_ns() - self._heard_ns > _SILENT_NS:
            self._silent = True
            self._show_scene(replace(self._scene, kind="wait", instruction=_NO_SIGNAL))

    def _wait_for(self, instruction: str) -> None:
        self._show("wait", instruction, None)

    def _show(self, kind: str, instruction: str, trial: GuidedTrial | None) -> None:
        self._scene = Scene(
            kind=kind,
            instruction=instruction,
            trial=trial.number if trial else 0,
            good=sum(self._guided.summary().kept.values()),
            planned=self.guide.plan.n_trials,
            last=self._last,
            staff=trial.staff if trial else "",
        )
        self._show_scene(self._scene)
