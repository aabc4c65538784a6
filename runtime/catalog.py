"""Names in a session file, and the classes they stand for, imported when they are asked for.

The catalogue is a plain dict of strings: nothing registers by being imported, and naming a device
that nobody uses imports nothing.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from .errors import ConfigError, UnknownName

CATALOG: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "source": {
            "lsl": "hardware.lsl_inlet:LslSource",
            "fieldtrip": "hardware.fieldtrip:FieldTripSource",
            "rda": "hardware.rda:RdaSource",
            "brainflow": "hardware.brainflow_board:BrainFlowSource",
            "blackrock": "hardware.blackrock:BlackrockSource",
            "replay": "hardware.replay:ReplaySource",
            "simulator": "hardware.simulator:SimulatedParticipant",
            "speaker": "hardware.simulated_speech:SimulatedSpeaker",
        },
        "encoder": {
            "filterbank_covariance": "decoders.filterbank_covariance:FilterbankCovariance",
            "aligned_covariance": "decoders.aligned_covariance:AlignedCovariance",
            "csp": "decoders.common_spatial_patterns:CommonSpatialPatterns",
            "student": "decoders.student_encoder:StudentEncoder",
            "xdawn": "decoders.xdawn:XdawnCovariance",
            "joined": "decoders.joined:Joined",
            "evoked_epoch": "decoders.evoked_epoch:EvokedEpoch",
            "cnn": "decoders.small_network:SmallNetwork",
            "fbcca": "decoders.fbcca:FilterBankCca",
            "flicker_covariance": "decoders.flicker_covariance:FlickerCovariance",
            "trca": "decoders.trca:TaskRelatedComponents",
            "band_power": "decoders.band_power:BandPower",
            "envelope_frames": "decoders.envelope_frames:EnvelopeFrames",
        },
        "adapter": {
            "linear": "adapters.linear:LinearAdapter",
            "neurofeedback": "adapters.neurofeedback:NeurofeedbackAdapter",
            "speller": "adapters.speller:SpellerAdapter",
            "speech": "adapters.speech.adapter:SpeechAdapter",
        },
        "task": {
            "motor_imagery": "adapters.motor_imagery:MOTOR_IMAGERY",
            "neurofeedback": "adapters.neurofeedback_task:NEUROFEEDBACK",
            "error_potential": "adapters.error_potential:ERROR_POTENTIAL",
            "p300": "adapters.p300:P300",
            "ssvep": "adapters.ssvep:SSVEP",
            "p300_speller": "adapters.p300:P300_SPELLER",
            "speech": "adapters.speech.task:SPEECH",
        },
        "feedback": {
            "evidence": "runtime.feedback:EvidenceFeedback",
            "velocity": "runtime.velocity:VelocityFeedback",
        },
        "sink": {
            "lsl": "hardware.lsl_outlet:LslSink",
            "udp": "hardware.udp_sink:UdpSink",
            "osc": "hardware.osc_sink:OscSink",
            "zmq": "hardware.zmq_sink:ZmqSink",
            "fieldtrip": "hardware.fieldtrip_sink:FieldTripSink",
            "serial": "hardware.serial_sink:SerialSink",
            "parallel": "hardware.parallel_sink:ParallelSink",
            "keyboard": "hardware.keyboard_sink:KeyboardSink",
            "null": "hardware.null:NullSink",
            "stimulation": "hardware.stimulation_sink:StimulationSink",
        },
        "learner": {
            "frozen": "rl.learners.frozen:Frozen",
            "recentring": "rl.learners.recentring:Recentring",
            "recalibration": "rl.learners.recalibration:Recalibration",
            "pseudo_labels": "rl.learners.pseudo_labels:PseudoLabels",
            "entropy": "rl.learners.entropy:Entropy",
            "bandit": "rl.learners.conservative_linucb:ConservativeLinUCB",
            "neural_bandit": "rl.learners.neural_ucb:NeuralUCB",
            "reward": "rl.learners.rewarded:Rewarded",
        },
        # No current flows anywhere in this release: there is one entry, and it is a simulated one.
        "stimulator": {
            "simulated": "hardware.simulated_stimulator:SimulatedStimulator",
        },
    }
)
"""Kind of stage -> name -> ``module:class`` inside the package."""


_PACKAGES = {
    "diverloop": "--force-reinstall diverloop",
    "mne_lsl": "mne-lsl",
    "pythonosc": "python-osc",
    "serial": "pyserial",
    "sklearn": "scikit-learn",
    "torch": '"diverloop[torch]"',
    "zmq": "pyzmq",
}
"""What to install for a library that is imported by another name than its package has."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a name that is not known.

    Parameters
    ----------
    name : str
        As somebody wrote it.
    known : iterable of str
        What there is.

    Returns
    -------
    hint : str
        ``"Did you mean 'lsl'? Known: lsl, replay."``, without the question if nothing is near.
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    question = f"Did you mean {close[0]!r}? " if close else ""
    return f"{question}Known: {', '.join(known)}."


def find(kind: str, name: str) -> Any:
    """The class behind a name; the object, for a task.

    Parameters
    ----------
    kind : str
        A key of `CATALOG`: ``"source"``, ``"encoder"``, ``"adapter"``, ``"task"``,
        ``"feedback"``, ``"sink"``, ``"learner"`` or ``"stimulator"``.
    name : str
        A name listed there.

    Returns
    -------
    cls : type
        The class, freshly imported if nobody had asked before.

    Raises
    ------
    UnknownName
        If there is no such name.
    ConfigError
        If a library that it needs is not installed.
    """
    if name not in CATALOG[kind]:
        raise UnknownName(f"No {kind} is called {name!r}. {nearest(name, CATALOG[kind])}")
    module, _, attribute = CATALOG[kind][name].partition(":")
    package = __name__.rpartition(".runtime.")[0]
    try:
        return getattr(importlib.import_module(f"{package}.{module}"), attribute)
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        raise ConfigError(
            f"The {kind} {name!r} needs the library {library!r}, which is not installed: "
            f"pip install {_PACKAGES.get(library, library)}."
        ) from error
