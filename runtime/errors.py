"""Every error diverloop raises on purpose.

The tree::

    DiverloopError
    |-- ConfigError            a session file, a setting or a command line that cannot be used
    |   `-- UnknownName        a name that no catalogue knows
    |-- SourceError
    |   |-- SourceUnavailable  nothing answered, or too many did
    |   |-- LinkLost           a connection that broke, or on which nonsense came
    |   |-- SchemaMismatch     the stream is not the one the model was fitted on
    |   `-- UnitError          a unit that cannot be turned into microvolts
    |-- SinkError              an output that takes nothing any more
    |-- RecordingError         a file that cannot be read or written, or holds nothing usable
    |   `-- ReplayDivergedError  a replay that asks for what the recorded run did not ask for
    |-- BundleError            a saved model that is damaged, altered or of another make
    |-- AccessError            a person who may not, or a session that does not answer
    |-- EngineError            a compiled model that cannot be run here, or that stopped
    |-- TrainingStopped        a training run that ended early, and can go on
    |-- SamplesLost            a range of the ring that is not, or no longer, there
    `-- ConformanceError       an implementation that breaks its protocol

A message says what was got, what is allowed and what to do next, in one sentence.
"""

from __future__ import annotations

_LONGEST = 2000  # characters of a message: what it quotes may have any length
_TAIL = 500


class DiverloopError(Exception):
    """Root of the tree: catch this to catch everything diverloop raises on purpose.

    Its text can always be shown: the middle of a long one is left out, for it is the value that
    somebody sent, and half a surrogate pair, which no terminal takes, is spelled out.
    """

    def __str__(self) -> str:
        """The message, as it can be shown."""
        text = super().__str__()
        if len(text) > _LONGEST:
            left_out = len(text) - _LONGEST
            head = text[: _LONGEST - _TAIL]
            text = f"{head} [{left_out} characters are left out] {text[-_TAIL:]}"
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


class ConfigError(DiverloopError, ValueError):
    """A setting that cannot be used."""


class UnknownName(ConfigError):
    """A name that no catalogue knows; the message suggests the nearest one."""


class SourceError(DiverloopError):
    """Something is wrong with where samples come from."""


class SourceUnavailable(SourceError):
    """No stream answered, or more than one did."""


class LinkLost(SourceError):
    """A connection to a device that ended, or on which something else than its protocol came."""


class SchemaMismatch(SourceError):
    """The stream's rate, channels or kinds differ from what the model was fitted on."""


class UnitError(SourceError):
    """A unit that is unknown, or that cannot be turned into microvolts."""


class SinkError(DiverloopError):
    """An output that takes nothing any more: unplugged, full, or out of reach."""


class RecordingError(DiverloopError):
    """A recording that cannot be read or written, or that holds nothing usable."""


class ReplayDivergedError(RecordingError):
    """A replay that asks for what the recorded run did not ask for: it is another program."""


class BundleError(DiverloopError):
    """A saved model that is damaged, altered, or made by something else."""


class AccessError(DiverloopError):
    """A person who may not do what was asked, or a session that does not answer."""


class EngineError(DiverloopError):
    """A compiled model that cannot be run on this machine, or that stopped running."""


class TrainingStopped(DiverloopError):
    """A training run that ended early: it was asked to, or its loss is no number any more."""


class SamplesLost(DiverloopError):
    """A range of samples that was never received, or that has been overwritten."""


class ConformanceError(DiverloopError, AssertionError):
    """An implementation that breaks a clause of its protocol."""
