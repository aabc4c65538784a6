"""Speech as a task: a person is asked to say something, attempts it, and is understood, or not.

Markers say what is to be said (``"say:open the door"``) and where attempts begin and end
(``"onset"``, ``"offset"``); in a calibration both must be there. A few single words said over and
over make a decoder of commands, sentences one of the whole lexicon.

The decoder is deaf until somebody lets it listen, see `listening`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...runtime.card import Card
from ...runtime.collection import WholeRecording
from ...runtime.errors import RecordingError
from ...runtime.paradigms.phonemes import PHONEMES
from ...runtime.paradigms.utterances import lexicon, sentences
from ...runtime.signal.condition_config import ConditionConfig
from ...runtime.windows import WindowConfig
from ..scorer import Scorer
from ..task import Finished, Heard, Task, Way
from .config import SpeechConfig
from .cutting import Utterance, cut_utterances
from .fitting import fit_speech
from .word_scorer import WordScorer

HIGH_GAMMA = ConditionConfig(
    line_hz=50.0, envelopes_hz=((70.0, 150.0),), envelope_hz=25.0, rate_hz=100.0
)
"""How strong high gamma is, a hundred times a second."""

HOP = WindowConfig(length_s=0.08, step_s=0.08)
_FRAMES = 2  # of a hop


def understood(heard: Heard) -> Finished:
    """A decoder of what was said in recordings.

    Parameters
    ----------
    heard : Heard
        Attempts with rest around them.

    Returns
    -------
    finished : Finished
        A speech adapter, deaf.

    Raises
    ------
    RecordingError
        If nobody attempts to say anything in them.
    ConfigError
        If words are not in the lexicon, or there is too little to hold anything out.
    """
    utterances = [
        one
        for features, part in zip(heard.features, heard.parts, strict=True)
        for one in cut_utterances(features, part.stops, part.markers)
    ]
    if not utterances:
        raise RecordingError(
            "No attempt to speak was found: a calibration needs markers 'say:TEXT', 'onset' and "
            "'offset', with an undisturbed signal between them."
        )
    fitted = fit_speech(
        utterances,
        _config(utterances, heard),
        sentences=[one.split() for one in sentences("train")],
        progress=lambda done, of: heard.progress("learning to hear", done, of),
    )
    n, wrong = fitted.report["n_held_out"], fitted.report["held_out_token_error_rate"]
    verdict = (
        f"In {n} attempts that were held out, {wrong:.0%} of the phonemes were wrong, missing or "
        f"added."
    )
    report = {**fitted.report, "verdict": verdict}
    return Finished(kind="speech", adapter=fitted.adapter, report=report)


def _config(utterances: Sequence[Utterance], heard: Heard) -> SpeechConfig:
    """Commands, if single words are all that was said; the whole lexicon otherwise."""
    said = sorted({" ".join(one.words) for one in utterances})
    commands = all(len(one.words) == 1 for one in utterances)
    words = lexicon()
    return SpeechConfig(
        mode="keywords" if commands else "words",
        keywords=tuple(said) if commands else (),
        phonemes=PHONEMES,
        words=words.words,
        pronunciations=tuple(" ".join(words.pronounce(word)) for word in words.words),
        n_frames=_FRAMES,
        hop_s=HOP.step_s,
        hop_samples=round(HOP.step_s * heard.parts[0].conditioned.rate_hz),
    )


def score_words(card: Card) -> Scorer:
    """Texts that were asked for are compared with what was decoded.

    Parameters
    ----------
    card : Card
        Of a speech model.

    Returns
    -------
    scorer : WordScorer
        It counts what a label is.
    """
    config = card.adapter_config
    if config["mode"] != "phonemes":
        return WordScorer(str(config["mode"]))
    spoken = dict(zip(config["words"], config["pronunciations"], strict=True))

    def spell(text: str) -> list[str]:
        # A word that the model has no pronunciation of counts as one that was not understood.
        return " ".join(spoken.get(word, word) for word in text.split()).split()

    return WordScorer("phonemes", spell)


SPEECH = Task(
    name="speech",
    title="attempted speech",
    span=WholeRecording(start_s=0.0, stop_s=0.0),
    window=HOP,
    ways=lambda classes: (
        Way(
            encoder="envelope_frames",
            conditioning=HIGH_GAMMA,
            settings={"n_frames": _FRAMES, "frame_times": 4},
            learn=understood,
        ),
    ),
    training_step_s=HOP.step_s,
    feedback={"memory_s": 0.0, "dwell_s": 0.0, "refractory_s": 0.0},
    scorer=score_words,
    simulator={"kind": "speaker", "say": "keywords", "pause_s": 1.0},
)
"""What somebody attempts to say, from electrodes on the speech motor cortex."""
