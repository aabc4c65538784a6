"""The P300 speller's decisions: real letters, and selections resampled from real flashes. As JSON.

    DIVERLOOP_DATA=... python tests/bench/spelling.py [--part both|letters|study] [--tuning]

Signal passes through the product's own causal conditioner (0.5 to 12 Hz, second order), is cut from
0 to 0.8 s after each flash and averaged in bins of 40 ms; shrinkage LDA reads it. A letter that is
judged was neither fitted nor calibrated on: weights, temperature, bias and evidence scale come from
the other letters of the same set, the calibration from weights that leave out a letter (or a fifth)
of those in turn.

``letters``: real selections whose layout is known: Emotiv E1 session D (rows and columns) and E
(random groups; in its last run a tenth of the cell masks are wrong in the source). `SpellerAdapter`
itself decides, with equal priors, as the targets spell nothing. g.tec, OpenBMI and Muse do not say
what was lit, so they have no letters to judge. Nine letters of one person: a proof that it runs.

``study``: selections of the 6 x 6 matrix that NOBODY SPELLED, resampled from held-out scores of
real flashes. Flash patterns and targets are drawn; targets are characters of held-out everyday
sentences, the history is right so far. Each selection draws from one real letter (or run) only, so
that a good or bad moment stays one. Flashes are taken in stretches: while the next real flash is
of the kind that the pattern asks for it is used, otherwise one of the right kind is drawn, with
replacement, that lies about as far behind the last target and before the next one. What a person
would do otherwise under the other pattern, fatigue, and feedback are not in it, and the sentences
that were held out are by the hand that wrote the others: the gain by letters is an upper bound.
Calibration selections are resampled in the same way from the other letters. At most six folds.
Times use each set's own distance of flashes. ``flashes_saved`` compares mean flashes used with the
fixed number, ``shown_saved`` also counts those that flash while the last window fills. Not
selecting counts as not right. ``speed_up_net`` compares right less wrong characters per minute.

``relabelled``: where each 12 flashes have 2 targets (OpenBMI, 33 letters of 5 repetitions), nothing
is resampled: real letters in their real order; only which row or column an unattended flash was
is drawn, as the recording does not say.

Nothing was chosen on what is reported, but that resampling is with replacement: without, sums
scatter less than they should. Defaults (clip 4, at least 6 flashes, threshold 0.95) were set
beforehand and looked at on Emotiv E1 session B, which ``--tuning`` shows and nothing else does.
Means and intervals go by person (6: E1's two sessions are one); those of calibration errors by
real letter.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diverloop.adapters.linear import LinearAdapter, LinearConfig
from diverloop.adapters.reliability import calibration_error
from diverloop.adapters.scores import bootstrap_ci
from diverloop.adapters.speller import (
    KnownSelection,
    SpellerAdapter,
    SpellerConfig,
    speller_arrays,
)
from diverloop.adapters.spelling_scores import Selection, spelling_report
from diverloop.hardware.recordings import read_recording
from diverloop.runtime.messages import Chunk, Embedding, Marker, Window
from diverloop.runtime.paradigms.letters import LetterModel, everyday, spell
from diverloop.runtime.paradigms.speller import (
    MATRIX,
    SpellerPlan,
    items_label,
    membership,
    sequence,
)
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner

Floats = NDArray[np.float64]

WINDOW_S, BIN_S = 0.8, 0.04
PER_PERSON, CALIBRATION, PATTERNS = 160, 40, 40
TWO = LinearConfig(classes=("nontarget", "target"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """Flashes of one real selection, or of one run where selections are not known.

    `features` (n_flashes, n_features), `target` (n_flashes,), `lit` (n_flashes, 36) if known.
    """

    features: Floats
    target: NDArray[np.bool_]
    lit: NDArray[np.bool_] | None = None
    item: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A set of letters of one person."""

    name: str
    subject: str
    soa_s: float
    letters: tuple[Letter, ...]


def features_of(path: Path) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64], float]:
    """Binned flashes of a recording, which are targets, their numbers, and their distance."""
    recording = read_recording(path)
    rate_hz = recording.spec.rate_hz
    pick = tuple(name for name in recording.spec.channel_names if name != "AUX")
    conditioner = StreamConditioner(ConditionConfig(pick=pick, bands_hz=((0.5, 12.0),), order=2))
    conditioner.open(recording.spec)
    samples = np.nan_to_num(recording.samples)
    done = conditioner.process(Chunk(samples=samples, first_sample=0, arrived_ns=0)).samples
    edges = np.round(np.arange(0, WINDOW_S + 1e-9, BIN_S) * rate_hz).astype(int)
    sums = np.cumsum(np.pad(done, ((0, 0), (1, 0))), axis=1)
    at = np.array([marker.sample for marker in recording.markers])
    kept = np.flatnonzero((at >= conditioner.settle_samples) & (at + edges[-1] < done.shape[1]))
    ends = sums[:, at[kept][:, None] + edges]
    features = np.diff(ends, axis=2).transpose(1, 0, 2).reshape(len(kept), -1)
    target = np.array([recording.markers[place].label == "target" for place in kept])
    return features, target, kept, float(np.median(np.diff(at)) / rate_hz)


def gtec(root: Path, number: int) -> Person:
    path = root / f"p300/gtec_S{number}.npz"
    features, target, kept, soa_s = features_of(path)
    of = np.load(path)["letter_of_event"][kept]
    letters = tuple(
        Letter(features=features[of == n], target=target[of == n]) for n in np.unique(of)
    )
    return Person(name=f"gtec G{number}", subject=f"G{number}", soa_s=soa_s, letters=letters)


def openbmi(root: Path) -> Person:
    path = root / "p300/openbmi_O1_offline.npz"
    features, target, kept, soa_s = features_of(path)
    stored = np.load(path)
    breaks = np.diff(stored["ev_sample"], prepend=stored["ev_sample"][0]) > 2 * stored["fs"]
    of = np.cumsum(breaks)[kept]
    letters = tuple(
        Letter(features=features[of == n], target=target[of == n]) for n in np.unique(of)
    )
    return Person(name="OpenBMI O1", subject="O1", soa_s=soa_s, letters=letters)


def muse(root: Path) -> Person:
    found = [features_of(path) for path in sorted((root / "p300").glob("muse_M1_*.npz"))]
    letters = tuple(Letter(features=one[0], target=one[1]) for one in found)
    return Person(name="Muse M1", subject="M1", soa_s=found[0][3], letters=letters)


def emotiv(root: Path, session: str) -> Person:
    letters = []
    for path in sorted((root / "p300").glob(f"emotiv_E1_ses{session}_run*.npz")):
        features, target, kept, soa_s = features_of(path)
        stored, lit, item = np.load(path), None, -1
        cells = np.arange(36)
        if session == "D":
            index, column = stored["flash_index"], stored["flash_is_col"].astype(bool)
            lit = np.where(column[:, None], cells // 6, cells % 6) == index[:, None]
        if session == "E":
            lit = (stored["flash_cells_mask"][:, None].astype(np.int64) >> cells) & 1 > 0
        if lit is not None:
            lit, item = lit[kept], int(stored["target_cell"][0])
        letters.append(Letter(features=features, target=target, lit=lit, item=item))
    return Person(name=f"Emotiv E1 {session}", subject="E1", soa_s=soa_s, letters=tuple(letters))


def fit_linear(letters: Sequence[Letter]) -> LinearAdapter:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    features = np.concatenate([letter.features for letter in letters])
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-12
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[0.5, 0.5])
    model.fit((features - mean) / scale, np.concatenate([letter.target for letter in letters]))
    return LinearAdapter(TWO, mean=mean, scale=scale, weights=model.coef_, bias=model.intercept_)


def score(linear: LinearAdapter, letter: Letter) -> Floats:
    """How much more like a target, before the temperature."""
    return np.diff(linear.scores(letter.features), axis=1)[:, 0]


def held_out(letters: Sequence[Letter]) -> list[Floats]:
    """Scores of every letter from weights that left it out, in at most five folds."""
    folds = np.arange(len(letters)) % 5
    found: list[Floats] = [np.empty(0)] * len(letters)
    for fold in np.unique(folds):
        linear = fit_linear([one for one, of in zip(letters, folds, strict=True) if of != fold])
        for place in np.flatnonzero(folds == fold):
            found[place] = score(linear, letters[place])
    return found


# --- resampling ------------------------------------------------------------------------------


def distances(target: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Flashes since the last target and until the next, up to 4 and 3, shape (n_flashes, 2)."""
    since, until = np.full(len(target), 4), np.full(len(target), 3)
    for step in (3, 2, 1):
        since[step:][target[:-step]] = step
        until[:-step][target[step:]] = step
    return np.stack([since, until], axis=1)


def resample(
    wanted: NDArray[np.bool_], target: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Real flashes in the order of a drawn pattern, in stretches as long as they fit."""
    want, have = distances(wanted), distances(target)
    kinds = wanted.tolist()
    real, since, needed = target.tolist(), have[:, 0].tolist(), want[:, 0].tolist()
    # With replacement: a pool that is used up would make every selection alike. Chance lets the
    # next best compete, for the best may be one flash only.
    alike = np.abs(have[None, :] - want[:, None]).sum(axis=2) + 1e3 * (wanted[:, None] != target)
    found, last = [], -1
    for step, kind in enumerate(kinds):
        go_on = 0 <= last < len(real) - 1
        if go_on and real[last + 1] == kind and since[last + 1] == needed[step]:
            last += 1
        else:
            last = int(np.argmin(alike[step] + 1.5 * rng.random(len(target))))
        found.append(last)
    return np.array(found)


class Patterns:
    """Drawn flash patterns of a plan."""

    def __init__(self, plan: SpellerPlan, rng: np.random.Generator) -> None:
        self.plan, member = plan, membership(plan)
        drawn = [sequence(plan, rng) for _ in range(PATTERNS)]
        self.lit = [member[[flash.group for each in one for flash in each]] for one in drawn]

    def draw(
        self, scores: Floats, target: NDArray[np.bool_], item: int, rng: np.random.Generator
    ) -> KnownSelection:
        """A selection of an item, resampled from one real letter."""
        lit = self.lit[rng.integers(len(self.lit))]
        places = resample(lit[:, item], target, rng)
        return KnownSelection(scores=scores[places], lit=lit, item=item)


def texts() -> tuple[LetterModel, list[list[str]]]:
    """Letters of four fifths of the sentences, and the others spelled."""
    lines = everyday().splitlines()
    model = LetterModel.fit("\n".join(x for n, x in enumerate(lines) if n % 5), MATRIX)
    return model, [[MATRIX[place] for place in spell(x, MATRIX)] for x in lines[::5]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One resampled selection: evidence after each flash (n_flashes, 36), prior, truth."""

    evidence: Floats
    log_prior: Floats
    item: int
    group: str
    subject: str
    soa_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Letters of one fold: what others gave to calibrate on, and their own flashes' scores."""

    linear: LinearAdapter
    others: tuple[Letter, ...]
    scores: tuple[Floats, ...]
    letters: tuple[Letter, ...]


def outer_folds(person: Person) -> list[Judged]:
    """At most six folds; nothing of a fold's letters is in its weights or its calibration."""
    folds = np.arange(len(person.letters)) % 6
    found = []
    for fold in np.unique(folds):
        others = tuple(one for one, of in zip(person.letters, folds, strict=True) if of != fold)
        own = tuple(one for one, of in zip(person.letters, folds, strict=True) if of == fold)
        scores = tuple(held_out(others))
        linear = fit_linear(others)
        found.append(Judged(linear=linear, others=others, scores=scores, letters=own))
    return found


def draw_person(
    person: Person, folds: list[Judged], patterns: Patterns, config: SpellerConfig, count: int
) -> tuple[list[Drawn], list[float]]:
    """Resampled selections of every letter, judged by what was learnt from the others."""
    rng = np.random.default_rng(0)
    model, sentences = texts()
    found: list[Drawn] = []
    scales = []
    for fold in folds:
        places = np.arange(CALIBRATION) % len(fold.others)
        known = [
            patterns.draw(fold.scores[at], fold.others[at].target, int(rng.integers(36)), rng)
            for at in places
        ]
        arrays = speller_arrays(fold.linear.to_arrays(), known, clip=config.clip)
        scales.append(float(arrays["evidence_scale"][0]))
        for letter in fold.letters:
            ratios = scales[-1] * flash_ratios(arrays, letter, config.clip)
            for _ in range(count):
                sentence = sentences[rng.integers(len(sentences))]
                at = int(rng.integers(len(sentence)))
                item = MATRIX.index(sentence[at])
                one = patterns.draw(ratios, letter.target, item, rng)
                prior = np.log(model.prior(sentence[:at]))
                found.append(_drawn(one, prior, f"{person.name} {id(letter)}", person))
    return found, scales


def flash_ratios(arrays: dict[str, Floats], letter: Letter, clip: float) -> Floats:
    """Log-likelihood ratios of a letter's flashes, as the adapter takes them."""
    reader = LinearAdapter.from_arrays(TWO, arrays)
    odds = np.diff(np.log(np.maximum(reader.probabilities(letter.features), 1e-12)), axis=1)
    return np.clip(odds[:, 0] - arrays["prior_log_odds"], -clip, clip)


def _drawn(one: KnownSelection, log_prior: Floats, group: str, person: Person) -> Drawn:
    return Drawn(
        evidence=np.cumsum(one.scores[:, None] * one.lit, axis=0), log_prior=log_prior,
        item=one.item, group=group, subject=person.subject, soa_s=person.soa_s,
    )  # fmt: skip


def relabelled(
    person: Person, folds: list[Judged], config: SpellerConfig, count: int
) -> tuple[list[Drawn], SpellerConfig]:
    """Real letters in their real order, each repetition with 2 targets among 12 flashes.

    Which row or column an unattended flash was is not known, and drawn; nothing else is.
    """
    rng, member = np.random.default_rng(2), membership(config.plan)
    found: list[Drawn] = []
    for fold in folds:
        known = [
            KnownSelection(scores=scores, lit=_as_rows(one.target, 0, member, rng), item=0)
            for one, scores in zip(fold.others, fold.scores, strict=True)
        ]
        arrays = speller_arrays(fold.linear.to_arrays(), known, clip=config.clip)
        for letter in fold.letters:
            ratios = arrays["evidence_scale"] * flash_ratios(arrays, letter, config.clip)
            for _ in range(count):
                item = int(rng.integers(36))
                lit = _as_rows(letter.target, item, member, rng)
                one = KnownSelection(scores=ratios, lit=lit, item=item)
                equal = np.full(36, -math.log(36))
                found.append(_drawn(one, equal, f"{person.name} {id(letter)}", person))
    plan = replace(config.plan, repetitions=min(len(one.evidence) for one in found) // 12)
    return found, replace(config, plan=plan)


def _as_rows(
    target: NDArray[np.bool_], item: int, member: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Groups for a real row of targets: the item's two in turn, the others shuffled."""
    order = np.zeros(len(target), dtype=int)
    for kind, groups in ((True, member[:, item]), (False, ~member[:, item])):
        deck = [rng.permutation(np.flatnonzero(groups)) for _ in range(len(target))]
        order[target == kind] = np.concatenate(deck)[: np.count_nonzero(target == kind)]
    return member[order]


def posterior(drawn: Drawn, with_prior: bool) -> Floats:
    logs = drawn.evidence + (drawn.log_prior if with_prior else 0.0)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def fixed(drawn: Drawn, n_flashes: int, with_prior: bool, plan: SpellerPlan) -> Selection:
    """The likeliest item after a fixed number of flashes."""
    after = posterior(drawn, with_prior)[n_flashes - 1]
    return _selection(drawn, after, MATRIX[int(after.argmax())], n_flashes, plan)


def stopped(drawn: Drawn, cap: int, with_prior: bool, config: SpellerConfig) -> Selection:
    """What `SpellerAdapter` does: the first flash after which one item is sure enough."""
    after = posterior(drawn, with_prior)[:cap]
    sure = np.flatnonzero(after.max(axis=1) >= config.threshold)
    sure = sure[sure + 1 >= config.min_flashes]
    n_flashes = int(sure[0]) + 1 if len(sure) else cap
    last = after[n_flashes - 1]
    item = MATRIX[int(last.argmax())] if len(sure) else None
    return _selection(drawn, last, item, n_flashes, config.plan)


def _selection(
    drawn: Drawn, after: Floats, chosen: str | None, n_flashes: int, plan: SpellerPlan
) -> Selection:
    return Selection(
        wanted=MATRIX[drawn.item],
        chosen=chosen,
        probability=float(after.max()),
        n_flashes=n_flashes,
        seconds=plan.lead_s + n_flashes * drawn.soa_s + WINDOW_S + plan.pause_s,
    )


def compare(
    drawn: list[Drawn], config: SpellerConfig, repetitions: int, cap: int, with_prior: bool
) -> dict[str, Any]:
    """Dynamic stopping against a fixed number of repetitions: mean over persons, and each."""
    n_groups = len(membership(config.plan))
    plain = [fixed(one, repetitions * n_groups, with_prior, config.plan) for one in drawn]
    early = [stopped(one, cap * n_groups, with_prior, config) for one in drawn]
    each = {}
    for name in dict.fromkeys(one.subject for one in drawn):
        own = [place for place, one in enumerate(drawn) if one.subject == name]
        each[name] = person_figures(
            [plain[place] for place in own], [early[place] for place in own], drawn[own[0]].soa_s,
            repetitions * n_groups, cap * n_groups,
        )  # fmt: skip

    def mean(name: str, scale: float = 1.0) -> Any:
        values = [scale * row[name] for row in each.values()]
        if len(values) < 2:
            return {"mean": values[0]}
        return {"mean": float(np.mean(values)), "interval": bootstrap_ci(values, list(each))}

    pairs = list(zip(drawn, early, strict=True))
    made = [(one, has) for one, has in pairs if has.chosen is not None]
    best = [
        int(posterior(one, with_prior)[has.n_flashes - 1].argmax()) == one.item
        for one, has in pairs
    ]
    return {
        **{name: mean(name) for name in ("fixed", "dynamic", "flashes_saved", "shown_saved")},
        "points_lost": mean("lost", 100.0),
        "no_selection": mean("no_selection"),
        "speed_up_net": mean("speed_up_net"),
        "right_when_selected": float(np.mean([has.chosen == has.wanted for _, has in made])),
        "said_when_selected": float(np.mean([has.probability for _, has in made])),
        "ece_when_selected": ece([h.probability for _, h in made],
                                 [h.chosen == h.wanted for _, h in made], [o for o, _ in made]),
        "ece_when_over": ece([has.probability for has in early], best, drawn),
        "persons": each,
    }  # fmt: skip


def ece(sure: list[float], right: list[bool], of: list[Drawn]) -> dict[str, Any]:
    """Calibration error; its interval goes by real letter."""
    return asdict(calibration_error(sure, right, [one.group for one in of], n_resamples=200))


def person_figures(
    plain: list[Selection], early: list[Selection], soa_s: float, n_fixed: int, cap: int
) -> dict[str, float]:
    """One person, fixed and dynamic."""
    before, after = spelling_report(plain, MATRIX), spelling_report(early, MATRIX)
    waiting = math.ceil(WINDOW_S / soa_s)
    shown = np.mean([min(one.n_flashes + waiting, cap) for one in early])
    made = [one for one in early if one.chosen is not None]
    return {
        "fixed": before.accuracy,
        "dynamic": after.accuracy,
        "lost": before.accuracy - after.accuracy,
        "flashes_saved": 1 - after.flashes / n_fixed,
        "shown_saved": 1 - float(shown) / n_fixed,
        "no_selection": after.no_selection_rate,
        "right_when_selected": sum(one.chosen == one.wanted for one in made) / max(1, len(made)),
        "net_per_minute_fixed": before.net_per_minute,
        "net_per_minute_dynamic": after.net_per_minute,
        "speed_up_net": after.net_per_minute / max(1e-9, before.net_per_minute),
        "wolpaw_fixed": before.wolpaw_bits_per_minute,
        "wolpaw_dynamic": after.wolpaw_bits_per_minute,
        "mutual_fixed": before.mutual_bits_per_minute,
        "mutual_dynamic": after.mutual_bits_per_minute,
        "ece": after.stopping_error,
    }


def study(persons: Sequence[Person], config: SpellerConfig, per_person: int) -> dict[str, Any]:
    """All persons, both patterns, with and without letters, and several thresholds."""
    folds = [outer_folds(person) for person in persons]
    found: dict[str, Any] = {}
    for flashing in ("row_column", "checkerboard"):
        chosen = replace(config, plan=replace(config.plan, flashing=flashing, repetitions=15))
        patterns = Patterns(chosen.plan, np.random.default_rng(1))
        drawn, scales = [], {}
        for person, of in zip(persons, folds, strict=True):
            count = math.ceil(per_person / len(person.letters))
            more, scale = draw_person(person, of, patterns, chosen, count)
            drawn += more
            scales[person.name] = float(np.mean(scale))
        part: dict[str, Any] = {"n": len(drawn), "evidence_scale": scales}
        for threshold in (0.9, 0.95, 0.98, 0.99):
            for name, with_prior in (("equal", False), ("letters", True)):
                settings = replace(chosen, threshold=threshold)
                for repetitions, cap in ((10, 10), (10, 15), (15, 15)):
                    if cap == 15 == repetitions + 5 or threshold == 0.95:
                        key = f"{name} {threshold} fixed {repetitions} cap {cap}"
                        part[key] = compare(drawn, settings, repetitions, cap, with_prior)
        found[flashing] = part
    for person, of in zip(persons, folds, strict=True):
        if all((one.target[: len(one.target) // 12 * 12].reshape(-1, 12).sum(axis=1) == 2).all()
               for one in person.letters):  # fmt: skip
            real, settings = relabelled(person, of, config, 5)
            n = settings.plan.repetitions
            done = compare(real, settings, n, n, False)
            found[f"relabelled {person.name}"] = {"n": len(real), f"fixed {n} cap {n}": done}
    return found


# --- real letters ----------------------------------------------------------------------------


def real_letters(person: Person, config: SpellerConfig) -> dict[str, Any]:
    """Leave one letter out; the adapter itself decides."""
    plan = replace(config.plan, soa_s=person.soa_s)
    selections, forced = [], []
    for place, letter in enumerate(person.letters):
        others = [one for n, one in enumerate(person.letters) if n != place]
        known = [
            KnownSelection(scores=scores, lit=one.lit, item=one.item)
            for one, scores in zip(others, held_out(others), strict=True)
            if one.lit is not None
        ]
        arrays = speller_arrays(fit_linear(others).to_arrays(), known, clip=config.clip)
        adapter = SpellerAdapter.from_arrays(replace(config, plan=plan), arrays)
        chosen, n_flashes = None, len(letter.target)
        for step, (values, lit) in enumerate(zip(letter.features, letter.lit, strict=True)):
            marker = Marker(label=items_label(np.flatnonzero(lit).tolist()), sample=10 * step)
            decision = adapter.decide(Embedding(values=values), _window(marker))
            if decision.label is not None:
                chosen, n_flashes = decision.label, step + 1
                break
            if decision.reason.startswith("no selection"):
                n_flashes = step + 1
                break
        after = adapter.posterior()
        forced.append(int(after.argmax()) == letter.item)
        selections.append(
            Selection(
                wanted=MATRIX[letter.item],
                chosen=chosen,
                probability=float(after.max()),
                n_flashes=n_flashes,
                seconds=plan.lead_s + n_flashes * person.soa_s + WINDOW_S + plan.pause_s,
            )
        )
    report = spelling_report(selections, MATRIX).as_dict()
    return {
        **report,
        "best_item_right": int(np.sum(forced)),
        "each": [asdict(s) for s in selections],
    }


def _window(marker: Marker) -> Window:
    return Window(
        samples=np.zeros((1, 40)), first_sample=marker.sample, stop_sample=marker.sample + 40,
        due_ns=0, marker=marker,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=("both", "letters", "study"), default="both")
    parser.add_argument("--tuning", action="store_true")
    parser.add_argument("--per-person", type=int, default=PER_PERSON)
    parser.add_argument("--clip", type=float, default=SpellerConfig().clip)
    parser.add_argument("--min-flashes", type=int, default=SpellerConfig().min_flashes)
    asked = parser.parse_args()
    root = Path(os.environ["DIVERLOOP_DATA"])
    config = SpellerConfig(
        plan=SpellerPlan(repetitions=15), clip=asked.clip, min_flashes=asked.min_flashes
    )
    found: dict[str, Any] = {"config": asdict(config)}
    if asked.tuning:
        twice = replace(emotiv(root, "B"), subject="E1 again")  # two, so that there is an interval
        found["study"] = study([emotiv(root, "B"), twice], config, asked.per_person)
    else:
        sets = [emotiv(root, "D"), emotiv(root, "E")]
        if asked.part != "study":
            found["letters"] = {one.name: real_letters(one, config) for one in sets}
        if asked.part != "letters":
            persons = [*(gtec(root, n) for n in (1, 2, 3)), openbmi(root), muse(root), *sets]
            found["study"] = study(persons, config, asked.per_person)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
