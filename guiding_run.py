"""A guided calibration from its file to its end, with whatever shows it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from .flicker_lock import NOBODY_LOOKS
from .guiding import Guiding
from .guiding_look import Submit, at_once
from .guiding_report import GuidedReport
from .runtime.clock import MonotonicClock, VirtualClock
from .runtime.errors import ConfigError
from .runtime.guide_file import GuideConfig
from .runtime.paradigms.guided_course import Scene
from .runtime.stages import Clock
from .runtime.telemetry import TelemetryPublisher
from .runtime.termination import ended_by_signals


def run_guide(
    guide: GuideConfig,
    path: Path,
    *,
    live: bool,
    seed: int,
    show: Callable[[Scene], None] = lambda scene: None,
    publisher: TelemetryPublisher | None = None,
) -> GuidedReport:
    """Run a guided calibration for a person: Ctrl-C ends it and keeps what was recorded.

    Parameters
    ----------
    guide : GuideConfig
        Checked settings.
    path : Path
        The recording to write.
    live : bool
        In real time; False lets a simulated person's time pass at once.
    seed : int
        Order and rests follow from it.
    show : callable
        Told each scene.
    publisher : TelemetryPublisher, optional
        Tells screens of scenes and signal; made on this thread, and closed here.

    Returns
    -------
    report : GuidedReport
        What it came to.

    Raises
    ------
    ConfigError
        If the stream of a person is not to be awaited, or the guide cannot be used.
    """
    clock: Clock = MonotonicClock() if live else VirtualClock()

    def shown(scene: Scene) -> None:
        if publisher:  # first: what the participant sees is what is timed
            publisher.watch(scene)
        show(scene)

    with ExitStack() as stack:
        if publisher:
            stack.callback(publisher.close)
        if not live and guide.source.kind not in NOBODY_LOOKS:
            raise ConfigError("A live stream cannot be hurried: leave --fast out, or simulate.")
        submit: Submit = at_once
        if live:
            pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="look")
            stack.callback(pool.shutdown, wait=False, cancel_futures=True)
            submit = pool.submit
        tell = publisher.watch if publisher else lambda message: None
        guiding = Guiding(guide, clock, seed=seed, show=shown, submit=submit, tell=tell)
        stack.enter_context(ended_by_signals(guiding.stop))
        return guiding.run(path)
