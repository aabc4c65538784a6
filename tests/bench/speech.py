"""Speech on a simulated speaker: error rates, speed, second stage, keywords.

    python tests/bench/speech.py fit --model /tmp/speech.npz [--minutes 25]
    python tests/bench/speech.py sentences --model /tmp/speech.npz [--noise 0.5 1 1.5 2]
    python tests/bench/speech.py keywords --model /tmp/speech.npz
    python tests/bench/speech.py stage --model /tmp/speech.npz

Each prints one JSON object. The person is simulated (``--person``, default 3), so the figures say
how the pipeline behaves, never how well anybody could be understood.

Protocol. `fit` hears training sentences at noise 1 (seed 1) and chooses everything, temperature
and language weight included, on training sentences that were held out by text. `sentences` hears
the test sentences (seed 2, no sentence in common) at several levels of noise with that one
network, so other levels than 1 are also a mismatch; only the encoder's normalisation and
the gate's levels are fitted anew at each level, on a minute of training sentences (seed 3), as at
the beginning of a day.
`keywords` chooses its threshold on one session (seed 11, and 13 for rest: the most hits less wrong
ones among thresholds with at most one false alarm a minute) and reports on others (12, and 14 for
rest, which is the usual background without any speech); so were the gate's default levels chosen.
The language model knows nothing but the training sentences. `stage` runs in real time, twice 24 s.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from speech_listening import WINDOW, Heard, conditioning, listen

from diverloop.adapters.speech.adapter import SpeechAdapter
from diverloop.adapters.speech.config import SpeechConfig
from diverloop.adapters.speech.cutting import SAY, cut_utterances
from diverloop.adapters.speech.error_rates import edit_distance, error_rate
from diverloop.adapters.speech.fitting import fit_speech, refit_today
from diverloop.adapters.speech.second_stage import RemoteSecondStage
from diverloop.decoders.envelope_frames import EnvelopeFrames, EnvelopeFramesConfig
from diverloop.hardware.simulated_speech import SimulatedSpeaker, SimulatedSpeakerConfig
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.feedback import EvidenceFeedback, FeedbackConfig
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import Stages
from diverloop.runtime.messages import Channel, Embedding, EventKind, StreamSpec, Window
from diverloop.runtime.paradigms.phonemes import PHONEMES
from diverloop.runtime.paradigms.utterances import KEYWORDS, lexicon, sentences
from diverloop.runtime.settings import build
from diverloop.runtime.signal.conditioning import StreamConditioner

FRAMES = EnvelopeFramesConfig(n_frames=2, frame_times=4)
PAUSE_S = 1.0
LATE_MS = 800.0  # after the offset a word still belongs to its utterance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", choices=("fit", "sentences", "keywords", "stage"))
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--person", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.5, 1.0, 1.5, 2.0])
    chosen = parser.parse_args()
    part = {"fit": fit, "sentences": unseen_sentences, "keywords": keywords, "stage": stage}
    print(json.dumps(part[chosen.part](chosen), indent=1))


def speaker(chosen, **how) -> SimulatedSpeakerConfig:
    return SimulatedSpeakerConfig(person=chosen.person, **({"pause_s": PAUSE_S} | how))


# ------------------------------------------------------------------------------------- model


def fit(chosen) -> dict:
    import torch

    torch.set_num_threads(1)
    began = time.monotonic()
    heard = listen(speaker(chosen, seed=1, say="train", duration_s=60 * chosen.minutes))
    listened = time.monotonic()
    encoder = EnvelopeFrames.fit(heard.windows, np.zeros(len(heard.windows)), FRAMES)
    hops, _ = encoded(encoder, heard)
    utterances = cut_utterances(hops, heard.stops, heard.markers)
    words = lexicon()
    config = SpeechConfig(
        phonemes=PHONEMES,
        words=words.words,
        pronunciations=tuple(" ".join(words.pronounce(word)) for word in words.words),
        keywords=KEYWORDS,
        n_frames=FRAMES.n_frames,
        hop_samples=FRAMES.n_times,
    )
    started, spent = time.monotonic(), time.process_time()
    fitted = fit_speech(
        utterances,
        config,
        sentences=[one.split() for one in sentences("train")],
    )
    np.savez(
        chosen.model,
        config=np.array(json.dumps(asdict(fitted.adapter.config))),
        **{f"encoder_{name}": array for name, array in encoder.to_arrays().items()},
        **{f"adapter_{name}": array for name, array in fitted.adapter.to_arrays().items()},
    )
    return {
        "stream_minutes": chosen.minutes,
        "speech_minutes": sum(int(one.attempting.sum()) for one in utterances) * 0.08 / 60,
        "listening_wall_s": listened - began,
        "fit_wall_s": time.monotonic() - started,
        "fit_processor_s": time.process_time() - spent,
        **fitted.report,
    }


def load(chosen, **changes) -> tuple[EnvelopeFrames, SpeechAdapter]:
    with np.load(chosen.model) as stored:
        arrays = {name: stored[name] for name in stored.files if name != "config"}
        config = build(SpeechConfig, json.loads(str(stored["config"])), "model")
    parts = [
        {n.removeprefix(p): array for n, array in arrays.items() if n.startswith(p)}
        for p in ("encoder_", "adapter_")
    ]
    if "language_weight" in changes:
        weight = changes.pop("language_weight")
        config = replace(config, beam=replace(config.beam, language_weight=weight))
    adapter = SpeechAdapter.from_arrays(replace(config, **changes), parts[1])
    adapter.inbox.listen("the bench")
    return EnvelopeFrames.from_arrays(FRAMES, parts[0]), adapter


# ------------------------------------------------------------------------------------- a run


def encoded(encoder: EnvelopeFrames, heard: Heard) -> tuple[np.ndarray, float]:
    """What the encoder makes of the stream, and how long it takes for a hop, in ms."""
    channels = tuple(Channel(name=f"E{row}", kind="ecog") for row in range(heard.windows.shape[1]))
    encoder.open(StreamSpec(name="grid", rate_hz=100.0, channels=channels), heard.windows.shape[2])
    began, hops = time.perf_counter(), []
    for samples, first in zip(heard.windows, heard.firsts.tolist(), strict=True):
        window = Window(
            samples=samples, first_sample=0, stop_sample=1, due_ns=0, conditioned_first=first
        )
        hops.append(encoder.encode(window).values)
    return np.array(hops), 1e3 * (time.perf_counter() - began) / len(hops)


class Run:
    """An adapter's decisions on what was heard, hop by hop."""

    def __init__(self, adapter: SpeechAdapter, hops: np.ndarray, heard: Heard) -> None:
        self.labels, self.hop_ms, self.open, self.first_tokens = [], [], [], []
        self.processor_ms = []
        self.attempts, phonemes = [], ()
        step = int(np.median(np.diff(heard.stops)))
        for hop, stop, first in zip(hops, heard.stops.tolist(), heard.firsts.tolist(), strict=True):
            window = Window(
                samples=heard.windows[0],
                first_sample=stop - step,
                stop_sample=stop,
                due_ns=0,
                conditioned_first=first,
            )
            began, spent = time.perf_counter(), time.thread_time()
            decision = adapter.decide(Embedding(values=hop), window)
            self.hop_ms.append(1e3 * (time.perf_counter() - began))
            self.processor_ms.append(1e3 * (time.thread_time() - spent))
            if decision.label is not None:
                self.labels.append((stop, decision.label))
            if adapter.phonemes and not phonemes:
                self.first_tokens.append(stop)
            if phonemes and len(adapter.phonemes) < len(phonemes):
                self.attempts.append((stop, phonemes))
            phonemes = adapter.phonemes
            self.open.append(bool(np.isfinite(decision.probabilities).all()))

    def by_utterance(self, heard: Heard) -> list[tuple[str, list[str], list[str], float]]:
        """Text, words, phonemes of the best path, and ms from onset to the first token."""
        texts = [m.label.removeprefix(SAY) for m in heard.markers if m.label.startswith(SAY)]
        edges = [[m.sample for m in heard.markers if m.label == x] for x in ("onset", "offset")]
        late = LATE_MS * heard.rate_hz / 1e3
        found = []
        for text, onset, offset in zip(texts, *edges, strict=False):
            inside = [word for at, word in self.labels if onset - late / 2 <= at < offset + late]
            path = [
                one
                for at, said in self.attempts
                if onset <= at < offset + 1.5 * late
                for one in said
                if one != "SIL"
            ]
            first = [at for at in self.first_tokens if onset - late / 4 <= at < offset]
            delay = 1e3 * (first[0] - onset) / heard.rate_hz if first else float("nan")
            found.append((text, inside, path, delay))
        return found


def unseen_sentences(chosen) -> dict:
    weight = load(chosen)[1].config.beam.language_weight
    report: dict = {"language_weight": weight, "person": chosen.person, "levels": []}
    for noise in chosen.noise:
        heard = listen(speaker(chosen, seed=2, say="test", noise=noise, duration_s=chosen.seconds))
        today = listen(speaker(chosen, seed=3, say="train", noise=noise, duration_s=60.0))
        encoder = EnvelopeFrames.fit(today.windows, np.zeros(len(today.windows)), FRAMES)
        block = cut_utterances(encoded(encoder, today)[0], today.stops, today.markers)
        report["levels"].append({"noise": noise, **_level(chosen, encoder, block, heard)})
    return report


def _level(chosen, encoder: EnvelopeFrames, block, heard: Heard) -> dict:
    hops, encode_ms = encoded(encoder, heard)

    def serve(**changes) -> Run:
        adapter = refit_today(load(chosen, **changes)[1], block)
        adapter.inbox.listen("the bench")
        return Run(adapter, hops, heard)

    run = serve()
    said = run.by_utterance(heard)
    without = serve(language_weight=0.0).by_utterance(heard)
    delays = np.array([delay for *_, delay in said])
    opened = np.array(run.hop_ms)[run.open]
    seconds = len(hops) * WINDOW.step_s
    return {
        "n_utterances": len(said),
        "per_greedy": error_rate((path, _phonemes(text)) for text, _, path, _ in said),
        "per_beam": error_rate((_of(words), _phonemes(text)) for text, words, *_ in said),
        "wer_beam_and_language": error_rate((words, text.split()) for text, words, *_ in said),
        "wer_beam_lexicon_only": error_rate((words, text.split()) for text, words, *_ in without),
        "wer_greedy": error_rate((_nearest(path), text.split()) for text, _, path, _ in said),
        "wer_jiwer": _jiwer([(words, text) for text, words, *_ in said]),
        "first_token_ms_median": float(np.nanmedian(delays)),
        "first_token_ms_p90": float(np.nanquantile(delays, 0.9)),
        "attempts_without_token": int(np.isnan(delays).sum()),
        "encode_ms": encode_ms,
        "hop_ms_median_in_attempts": float(np.median(opened)),
        "hop_ms_p99_in_attempts": float(np.quantile(opened, 0.99)),
        "hop_processor_ms_median": float(np.median(np.array(run.processor_ms)[run.open])),
        "hop_processor_ms_p99": float(np.quantile(np.array(run.processor_ms)[run.open], 0.99)),
        "real_time_factor_one_core": (sum(run.hop_ms) / 1e3 + encode_ms * len(hops) / 1e3)
        / seconds,
        "open_share": float(np.mean(run.open)),
    }


def _phonemes(text: str) -> tuple[str, ...]:
    return lexicon().phonemes(text, between=None)


def _of(words: list[str]) -> tuple[str, ...]:
    return _phonemes(" ".join(words)) if words else ()


def _nearest(path: list[str]) -> list[str]:
    """Words of a phoneme string without a search: cut it as cheaply as the lexicon allows."""
    spelled = {word: lexicon().pronounce(word) for word in lexicon().words}
    longest = max(map(len, spelled.values())) + 1
    best: list[tuple[float, list[str]]] = [(0.0, [])]
    for stop in range(1, len(path) + 1):
        options = []
        for start in range(max(0, stop - longest), stop):
            part = path[start:stop]
            word = min(spelled, key=lambda one: edit_distance(part, spelled[one]))
            cost = best[start][0] + edit_distance(part, spelled[word]) + 0.1
            options.append((cost, [*best[start][1], word]))
        best.append(min(options))
    return best[-1][1]


def _jiwer(pairs) -> float | None:
    try:
        import jiwer
    except ModuleNotFoundError:
        return None
    return float(jiwer.wer([text for _, text in pairs], [" ".join(words) for words, _ in pairs]))


# ------------------------------------------------------------------------------------- keywords


def keywords(chosen) -> dict:
    encoder, _ = load(chosen)

    def heard_as(seed, **how):
        heard = listen(speaker(chosen, seed=seed, **how))
        return heard, encoded(encoder, heard)[0]

    choose, report_on = (
        heard_as(seed, say="keywords", duration_s=chosen.seconds) for seed in (11, 12)
    )
    rests = [
        heard_as(seed, say="keywords", noise=float("inf"), duration_s=chosen.seconds)
        for seed in (13, 14)
    ]
    curve = [
        {"at": at, **_spotted(chosen, at, choose, rests[0])}
        for at in (-0.5, -1.0, -2.0, -3.0, -4.0, -6.0)
    ]
    allowed = [one for one in curve if one["false_alarms_per_minute_at_rest"] <= 1.0]
    best = max(allowed, key=lambda one: one["hit_rate"] - one["wrong_rate"])
    return {
        "chosen_at": best["at"],
        "reported": _spotted(chosen, best["at"], report_on, rests[1]),
        "chosen_on": curve,
    }


def _spotted(chosen, at: float, spoken, rest) -> dict:
    how = {"mode": "keywords", "keyword_at": at, "ignore_after_s": 3600.0}
    heard, hops = spoken
    said = Run(load(chosen, **how)[1], hops, heard).by_utterance(heard)
    quiet = Run(load(chosen, **how)[1], rest[1], rest[0])
    minutes = len(rest[1]) * WINDOW.step_s / 60
    return {
        "n": len(said),
        "hit_rate": float(np.mean([words == [text] for text, words, *_ in said])),
        "wrong_rate": float(np.mean([bool(words) and words != [text] for text, words, *_ in said])),
        "false_alarms_per_minute_at_rest": len(quiet.labels) / minutes,
        "gate_open_at_rest": float(np.mean(quiet.open)),
    }


# ------------------------------------------------------------------------------------- stage


def stage(chosen) -> dict:
    """The loop in real time, alone and with a second stage that is stopped for 5 s."""
    return {"alone": _live(chosen, False), "second_stage_stopped_5_s": _live(chosen, True)}


def _live(chosen, with_stage: bool, seconds: float = 24.0) -> dict:
    encoder, adapter = load(chosen)
    clock = MonotonicClock()
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        text.write_text("\n".join(sentences("train")), encoding="utf-8")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        command = [sys.executable, "-m", "diverloop.adapters.speech.rescorer"]
        process = None
        if with_stage:
            process = subprocess.Popen([*command, "--address", address, "--text", str(text)])
            adapter.second_stage = RemoteSecondStage(address)
        signals = _Signals(process, stop_s=8.0, go_s=13.0)
        source = SimulatedSpeaker(speaker(chosen, seed=2, say="test", duration_s=seconds), clock)
        stages = Stages(
            source=source,
            conditioner=StreamConditioner(conditioning()),
            encoder=encoder,
            adapter=_Counted(adapter, signals),
            feedback=EvidenceFeedback(FeedbackConfig(memory_s=0.0, dwell_s=0.0, refractory_s=0.0)),
        )
        try:
            loop = Loop(stages, clock=clock, window=WINDOW)
            report = loop.run()
        finally:
            if process is not None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
                adapter.second_stage.close()
    counted = stages.adapter
    return {
        "seconds": seconds,
        "hops_decided": counted.n,
        "hops_due": int(seconds / WINDOW.step_s),
        "missed": report.missed_deadlines,
        "skipped": report.skipped_late,
        "corrections": counted.corrections,
        "decide_ms_max": counted.longest_ms,
        "decide_ms_max_while_stopped": counted.longest_stopped_ms,
    }


class _Signals:
    """Stops the other process at one hop and lets it go on at another."""

    def __init__(self, process, *, stop_s: float, go_s: float) -> None:
        self._process, self._due = process, [(stop_s, signal.SIGSTOP), (go_s, signal.SIGCONT)]
        self.stopped = False

    def look(self, n: int) -> None:
        if self._process is not None and self._due and n * WINDOW.step_s >= self._due[0][0]:
            _, what = self._due.pop(0)
            self._process.send_signal(what)
            self.stopped = what == signal.SIGSTOP


class _Counted:
    """An adapter that counts what it does."""

    def __init__(self, adapter: SpeechAdapter, signals: _Signals) -> None:
        self._adapter, self._signals = adapter, signals
        self.classes, self.epoch = adapter.classes, adapter.epoch
        self.n = self.corrections = 0
        self.longest_ms = self.longest_stopped_ms = 0.0

    def decide(self, embedding, window):
        self._signals.look(self.n)
        began = time.perf_counter()
        decision = self._adapter.decide(embedding, window)
        spent_ms = 1e3 * (time.perf_counter() - began)
        self.longest_ms = max(self.longest_ms, spent_ms)
        if self._signals.stopped:
            self.longest_stopped_ms = max(self.longest_stopped_ms, spent_ms)
        self.n += 1
        return decision

    def take_events(self):
        events = self._adapter.take_events()
        self.corrections += sum(event.kind is EventKind.CORRECTED for event in events)
        return events


if __name__ == "__main__":
    main()
