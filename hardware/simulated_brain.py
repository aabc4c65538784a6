"""The signal of a simulated participant: rhythms, responses and noise, block by block.

Sources sit at anatomical sites and reach a channel by a Gaussian of the distance between them.
That is a topography, not a head model: it puts each rhythm under the right electrodes and
correlates neighbours, and nothing more is claimed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.messages import Channel
from .montage import scalp_position_m
from .simulated_cues import CuedTimeline
from .simulated_feedback import ErrorResponse, FeedbackTimeline
from .simulated_rhythms import (
    Blinks,
    Block,
    Bursts,
    Coloured,
    Mains,
    Wander,
    band_sections,
    pink_sections,
    resonator_sections,
    smooth_step,
)
from .simulated_speller import SpellerTimeline
from .simulated_task import REST, Timeline, Trial
from .simulator_config import SimulatorConfig

BLOCK_S = 0.1  # shorter than any reaction, so feedback never has to change what is made already


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Amplitudes in microvolts (rms, peak for responses) and widths in metres of one modality."""

    background_uv: float
    mu_uv: float
    beta_uv: float
    alpha_uv: float
    burst_uv: float
    sensor_uv: float
    line_uv: float
    spread_m: float  # how far background activity is shared
    reach_m: float  # how far a source is seen


SCALP = Scale(
    background_uv=12.0, mu_uv=8.0, beta_uv=3.0, alpha_uv=8.0, burst_uv=0.0, sensor_uv=0.5,
    line_uv=2.0, spread_m=0.030, reach_m=0.030,
)  # fmt: skip
CORTEX = Scale(
    background_uv=60.0, mu_uv=40.0, beta_uv=25.0, alpha_uv=30.0, burst_uv=5.0, sensor_uv=1.0,
    line_uv=5.0, spread_m=0.007, reach_m=0.009,
)  # fmt: skip

# Left hand area, foot area, right hand area: mapped places in MNI, electrodes above at the scalp.
_HAND_FOOT_MNI_M = ((-0.040, -0.024, 0.056), (-0.006, -0.030, 0.068), (0.040, -0.024, 0.056))
_HAND_FOOT_SCALP = ("C3", "Cz", "C4")
_ALPHA_SITES = ("O1", "O2", "Pz")

# Share by which mu, beta and high gamma change per unit of drive at (C3, Cz, C4): rhythms shrink
# over the working area, less on the other side, and grow over the hands while the feet work
# (Pfurtscheller and Lopes da Silva, 1999); high gamma grows focally (Crone et al., 1998).
_MU = {"left": (0.2, 0.1, 1.1), "right": (1.1, 0.1, 0.2), "feet": (-0.3, 0.5, -0.3)}
_BETA = {"left": (0.2, 0.1, 0.9), "right": (0.9, 0.1, 0.2), "feet": (-0.1, 1.1, -0.1)}
_GAMMA = {"left": (0.4, 0.0, 3.0), "right": (3.0, 0.0, 0.4), "feet": (0.0, 3.0, 0.0)}
_DEEPEST = 0.95  # no rhythm vanishes altogether

_ONSET_S, _RECOVERY_S = 0.5, 0.8
_RESPONSE_S = 0.8  # evoked responses are over by then
_P3_UV, _N1_UV, _SSVEP_UV = 14.0, 3.0, 5.0
_HARMONICS = (1.0, 0.5, 0.25)
_SSVEP_DELAY_S = 0.14
_BLINK_UV = 150.0
_BLOCK_STREAM = 2  # keeps the draws of the signal apart from those of the timeline


class Brain:
    """Makes the blocks of a stream in order.

    Parameters
    ----------
    config : SimulatorConfig
        Who is simulated.
    channels : tuple of Channel
        Rows, with places.
    timeline : Timeline
        What is intended when.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        channels: tuple[Channel, ...],
        timeline: Timeline | SpellerTimeline | FeedbackTimeline | CuedTimeline,
    ) -> None:
        self._config, self._timeline = config, timeline
        self.block_samples = max(1, math.floor(BLOCK_S * config.rate_hz))
        self._block_s = self.block_samples / config.rate_hz
        self._next = 0
        self._is_scalp = channels[0].kind == "eeg"
        self._scale = SCALP if self._is_scalp else CORTEX
        self._put_on(np.array([channel.position_m for channel in channels]))
        self._gains: Block | None = None  # of the electrodes, since the cap was put on again
        who = config.seed if config.person < 0 else config.person
        person = np.random.default_rng([who, _BLOCK_STREAM])
        self._prepare_noise(person)
        self._prepare_rhythms(person)
        self._error = ErrorResponse(who)

    def _prepare_noise(self, person: np.random.Generator) -> None:
        """Background, drift, hum and blinks: nothing here knows the task."""
        config, scale, n = self._config, self._scale, len(self._places)
        self._background = Coloured(pink_sections(config.rate_hz), n)
        self._drift = Wander(n, 10.0, self._block_s)
        self._mains = Mains(config.line_hz, config.rate_hz, self._block_s)
        hum = scale.line_uv * person.uniform(0.5, 1.5, (n, 1))
        self._hum = hum if config.line_hz else np.zeros((n, 1))
        self._blinks = Blinks(config.blinks_per_min, config.rate_hz, self._block_s)

    def _prepare_rhythms(self, person: np.random.Generator) -> None:
        """Alpha at the back, mu and beta over hands and feet, high gamma if that is recorded."""
        rate_hz = self._config.rate_hz
        alpha_hz, mu_hz = person.uniform(9.0, 11.0), person.uniform(9.5, 12.0)
        beta_hz = person.uniform(19.0, 25.0)
        self._alpha = Coloured(resonator_sections(rate_hz, alpha_hz, 1.2), len(_ALPHA_SITES))
        n_sites = len(_HAND_FOOT_SCALP)
        self._mu = Coloured(resonator_sections(rate_hz, mu_hz, 2.0), n_sites)
        self._beta = Coloured(resonator_sections(rate_hz, beta_hz, 3.0), n_sites)
        self._swell = Wander(3 * n_sites, 6.0, self._block_s)
        self._gamma: Coloured | None = None
        if self._scale.burst_uv and rate_hz >= 300:  # below, 70 to 150 Hz does not fit
            high_hz = min(150.0, 0.45 * rate_hz)
            self._gamma = Coloured(band_sections(rate_hz, 70.0, high_hz), n_sites)
            self._bursts = Bursts(n_sites)

    def _put_on(self, places_m: Block) -> None:
        """How strongly electrodes at these places see everything."""
        self._places = places_m
        scale, snr = self._scale, self._config.snr
        apart = np.linalg.norm(places_m[:, None] - places_m[None], axis=-1)
        mixing = np.exp(-0.5 * (apart / scale.spread_m) ** 2)
        mixing /= np.linalg.norm(mixing, axis=1, keepdims=True)
        self._mixing = scale.background_uv * mixing
        eyes = self._seen_from([scalp_position_m("Fpz")], 0.04)
        self._eyes = _BLINK_UV * eyes if self._is_scalp else np.zeros((len(places_m), 1))
        back = [scalp_position_m(name) for name in _ALPHA_SITES]
        self._alpha_seen = scale.alpha_uv * self._seen_from(back, scale.reach_m)
        seen = self._seen_from(self._sensorimotor_sites(), scale.reach_m)
        self._mu_seen = snr * scale.mu_uv * seen
        self._beta_seen = snr * scale.beta_uv * seen
        self._gamma_seen = snr * scale.burst_uv * seen
        self._p3_seen = snr * self._seen_from([scalp_position_m("Pz")], 0.05)
        self._back_seen = snr * self._seen_from([scalp_position_m("Oz")], 0.035)
        self._front_seen = snr * self._seen_from([scalp_position_m("FCz")], 0.045)

    def _sensorimotor_sites(self) -> list[tuple[float, float, float]]:
        """Left hand, foot and right hand areas in the frame of the channels."""
        if self._is_scalp:
            return [scalp_position_m(name) for name in _HAND_FOOT_SCALP]
        return list(_HAND_FOOT_MNI_M)

    def _seen_from(self, sites: list[tuple[float, float, float]], reach_m: float) -> Block:
        """How strongly each channel sees each site, shape (n_channels, n_sites), 0 to 1."""
        apart = np.linalg.norm(self._places[:, None] - np.array(sites)[None], axis=-1)
        return np.asarray(np.exp(-0.5 * (apart / reach_m) ** 2))

    def block(self, drive: float) -> NDArray[np.float32]:
        """Make the next block.

        Parameters
        ----------
        drive : float
            How strongly the participant responds to the task now, 0 to 1.

        Returns
        -------
        samples : ndarray of float32, shape (n_channels, block_samples)
            Microvolts.
        """
        n = self.block_samples
        # A generator per block: what one block draws can never shift the next.
        rng = np.random.Generator(np.random.Philox(key=[self._config.seed, self._next]))
        times_s = (self._next * n + np.arange(n)) / self._config.rate_hz
        self._recap(times_s[0])
        out = self._noise(rng, n)
        out += self._rhythms(rng, times_s, drive)
        if self._config.task in ("p300", "speller"):
            out += self._evoked(times_s, drive)
        elif self._config.task == "ssvep":
            out += self._steady(times_s, drive)
        elif self._config.task == "error":
            out += self._monitored(times_s)
        self._next += 1
        if self._gains is not None:
            out *= self._gains
        return out.astype(np.float32)

    def _recap(self, time_s: float) -> None:
        """Put the cap on anew when its time has come."""
        recap = self._config.recap
        if recap.happens and self._gains is None and time_s >= recap.at_s:
            self._put_on(recap.places(self._places))
            self._gains = recap.gains(len(self._places), self._config.seed)

    def _noise(self, rng: np.random.Generator, n: int) -> Block:
        """Everything that does not know the task, alpha apart."""
        out = self._mixing @ self._background.block(rng, n)
        out += self._config.drift_uv * self._drift.block(rng, n)
        out += self._hum * self._mains.block(rng, n)
        out += self._eyes * self._blinks.block(rng, n)
        out += self._scale.sensor_uv * rng.standard_normal(out.shape, dtype=np.float32)
        return np.asarray(out)

    def _rhythms(self, rng: np.random.Generator, times_s: Block, drive: float) -> Block:
        """Alpha, and the sensorimotor rhythms as imagery changes them."""
        n = len(times_s)
        # Amplitudes swell and shrink by about a quarter over seconds, intended or not.
        alpha_swell, mu_swell, beta_swell = np.exp(0.25 * self._swell.block(rng, n)).reshape(
            3, 3, n
        )
        mu, beta, gamma = self._modulation(times_s, drive)
        if self._config.task == "neurofeedback":
            alpha_swell *= 1 + drive  # skill is to let the rhythm grow
        out = self._alpha_seen @ (alpha_swell * self._alpha.block(rng, n))
        out += self._mu_seen @ (mu_swell * mu * self._mu.block(rng, n))
        out += self._beta_seen @ (beta_swell * beta * self._beta.block(rng, n))
        if self._gamma is not None:
            gain = 1 + gamma * self._bursts.block(rng, n)
            out += self._gamma_seen @ (gain * self._gamma.block(rng, n))
        return out

    def _modulation(self, times_s: Block, drive: float) -> tuple[Block, Block, Block]:
        """Gains of mu and beta, and rise of high gamma, each (3 sites, n_times)."""
        mu, beta, gamma = (np.zeros((3, len(times_s))) for _ in range(3))
        if self._config.task == "motor_imagery":
            reach_s = 1.0 + self._config.pace.intent_s + _RECOVERY_S
            for trial in self._timeline.between(times_s[0] - reach_s, times_s[-1]):
                if trial.label != REST:
                    depth = drive * trial.vigour * _course(trial, times_s)
                    mu += _shares(_MU, trial)[:, None] * depth
                    beta += _shares(_BETA, trial)[:, None] * depth
                    gamma += np.array(_GAMMA[trial.label])[:, None] * depth
        return 1 - np.minimum(mu, _DEEPEST), 1 - np.minimum(beta, _DEEPEST), gamma

    def _evoked(self, times_s: Block, drive: float) -> Block:
        """N1 after every flash, P3 after targets."""
        early, late = np.zeros((2, 1, len(times_s)))
        for trial in self._timeline.between(times_s[0] - _RESPONSE_S, times_s[-1]):
            since_s = times_s - trial.cue_s
            early -= _N1_UV * _bump(since_s, 0.17, 0.025)
            if trial.label == "target":
                peak_s = 0.375 + trial.lateness_s
                late += _P3_UV * drive * trial.vigour * _bump(since_s, peak_s, 0.06)
        return self._back_seen * early + self._p3_seen * late

    def _monitored(self, times_s: Block) -> Block:
        """N1 after any feedback, and what right and wrong evoke: nobody is more or less skilled."""
        early = np.zeros((1, len(times_s)))
        shown = self._timeline.between(times_s[0] - _RESPONSE_S, times_s[-1])
        for trial in shown:
            early -= _N1_UV * trial.vigour * _bump(times_s - trial.cue_s, 0.17, 0.025)
        return self._back_seen * early + self._front_seen * self._error.course(times_s, shown)

    def _steady(self, times_s: Block, drive: float) -> Block:
        """Response at the attended frequency and its harmonics, locked to the flicker."""
        wave = np.zeros((1, len(times_s)))
        for trial in self._timeline.between(
            times_s[0] - 1.0 - self._config.pace.intent_s, times_s[-1]
        ):
            since_s = times_s - trial.start_s - _SSVEP_DELAY_S
            gain = smooth_step(since_s, 0.2) * (times_s < trial.stop_s + _SSVEP_DELAY_S)
            for order, strength in enumerate(_HARMONICS, start=1):
                hz = order * float(trial.label)
                if hz < 0.45 * self._config.rate_hz:
                    wave += strength * trial.vigour * gain * np.sin(2 * np.pi * hz * since_s)
        return self._back_seen * (_SSVEP_UV * drive * wave)


def _shares(table: dict[str, tuple[float, float, float]], trial: Trial) -> NDArray[np.float64]:
    """Shares of a class at the three sites, leaning to one hand area in this trial."""
    left, foot, right = table[trial.label]
    return np.array([left + trial.leaning, foot, right - trial.leaning])


def _course(trial: Trial, times_s: Block) -> Block:
    """Rise at the onset of an intention, return after its end."""
    rise = smooth_step(times_s - trial.start_s, _ONSET_S)
    return np.asarray(rise - smooth_step(times_s - trial.stop_s, _RECOVERY_S))


def _bump(times_s: Block, peak_s: float, width_s: float) -> Block:
    """Gaussian around a peak; nothing before time 0 and after the response is over."""
    inside = (times_s >= 0) & (times_s < _RESPONSE_S)
    return np.asarray(inside * np.exp(-0.5 * ((times_s - peak_s) / width_s) ** 2))
