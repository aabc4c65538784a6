"""What was seen when, on record: one line and one marker for each thing that began."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from ...runtime.errors import ConfigError, DiverloopError, RecordingError
from .frame_count import Flip

SendMarker = Callable[[str, int], None]
"""Sends a label with its monotonic time in nanoseconds; never waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipConfig:
    """What to make of the time of a flip.

    Parameters
    ----------
    display_ms : float
        From a flip to light at the place where the stimulus is, -100 to 500 ms: what the display
        adds to process and to light up a frame. Software cannot know it; a photodiode on the patch
        and ``diverloop timing`` tell it, for one display, one rate and one place on the screen.

    Raises
    ------
    ConfigError
        If it is no delay of a display.
    """

    display_ms: float = 0.0

    def __post_init__(self) -> None:
        if not -100 <= self.display_ms <= 500:
            raise ConfigError(
                f"display_ms must be in [-100, 500] ms, got {self.display_ms} ms: measure it with "
                "a photodiode, or leave it 0."
            )


class FlipRecord:
    """Writes and sends what began with each frame, in order and exactly once.

    Parameters
    ----------
    path : Path, optional
        The log, made anew; nothing is written without it. One JSON object a line: ``opened``, then
        ``seen`` for each label, ``lost`` for frames that nobody saw beside one that came late,
        ``closed`` with the counts.
    send_marker : callable, optional
        Sends a label; nothing is sent without it. Its time is that of the flip and `display_ms`.
    config : FlipConfig, optional
        Of the display.
    tell : callable, optional
        Told, once for each cause, when something could not be written or sent.
    about : mapping, optional
        For the first line: clock, rate, screen, session.

    Raises
    ------
    RecordingError
        If the log cannot be made.

    Attributes
    ----------
    frames, lost, labels, unwritten, unsent : int
        Frames seen and lost; labels seen, and those of them that did not get out.
    """

    def __init__(
        self,
        path: Path | None = None,
        send_marker: SendMarker | None = None,
        *,
        config: FlipConfig | None = None,
        tell: Callable[[str], None] = lambda sentence: None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.config = config or FlipConfig()
        self._send, self._tell, self._path = send_marker, tell, path
        self._display_ns = round(self.config.display_ms * 1e6)
        self.frames = self.lost = self.labels = self.unwritten = self.unsent = 0
        self._file: TextIO | None = None
        self._closed = False
        if path is not None:
            self._file = _made(path)
            self._write({"what": "opened", **(about or {}), "display_ms": self.config.display_ms})

    def flipped(self, flip: Flip, labels: Iterable[str] = (), *, lit: bool = False) -> None:
        """A frame was seen.

        Parameters
        ----------
        flip : Flip
            Which, and when.
        labels : iterable of str
            What began with it.
        lit : bool
            Whether the patch was white.
        """
        self.frames += 1
        self.lost += flip.lost
        if flip.lost:
            self._write(
                {"what": "lost", "count": flip.lost, "beside": flip.frame, "at_ns": flip.at_ns}
            )
        for label in labels:
            self._put(label, flip, lit)

    def sentence(self) -> str:
        """For the operator: how many frames were seen and lost, and what became of markers."""
        lost = f"{self.lost} were lost" if self.lost else "none was lost"
        missing = [f"{n} of them {what}" for n, what in
                   ((self.unsent, "not sent"), (self.unwritten, "not written")) if n]  # fmt: skip
        return (
            f"{self.frames} frames were seen, {lost}; "
            + ", ".join([f"{self.labels} markers", *missing])
            + "."
        )

    def close(self) -> None:
        """Write the counts. Twice is harmless."""
        if self._closed:
            return
        self._closed = True
        counts = ("frames", "lost", "labels", "unwritten", "unsent")
        self._write({"what": "closed", **{name: getattr(self, name) for name in counts}})
        if self._file is not None:
            self._file.close()
            self._file = None

    def _put(self, label: str, flip: Flip, lit: bool) -> None:
        """Send first: the marker is what others wait for."""
        self.labels += 1
        light_ns = flip.at_ns + self._display_ns
        if self._send is not None:
            try:
                self._send(label, light_ns)
            except (DiverloopError, OSError) as error:
                self.unsent += 1
                if self.unsent == 1:
                    self._tell(
                        f"Markers of the screen cannot be sent ({error}): they are in the log "
                        "only, so check the marker stream before you go on."
                    )
        written = self._write(
            {"what": "seen", "label": label, "frame": flip.frame, "flip_ns": flip.at_ns,
             "light_ns": light_ns, "late": flip.late, "lit": lit}
        )  # fmt: skip
        self.unwritten += not written

    def _write(self, line: dict[str, Any]) -> bool:
        """Whether it was written, or nobody asked for it."""
        if self._path is None:
            return True
        if self._file is None:
            return False
        try:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            self._tell(
                f"The log of the screen, {self._path}, cannot be written any more ({error}): "
                "markers are still sent; free some space and begin a new log."
            )
            with suppress(OSError):  # what it still held is what could not be written
                self._file.close()
            self._file = None
            return False
        return True


def _made(path: Path) -> TextIO:
    try:
        return path.open("x", encoding="utf-8")
    except FileExistsError as error:
        raise RecordingError(
            f"There is a log of the screen at {path} already: give another name; none is "
            "overwritten."
        ) from error
    except OSError as error:
        raise RecordingError(
            f"The log of the screen cannot be made at {path} ({error.strerror or error}): give a "
            "folder that exists and can be written to."
        ) from error
