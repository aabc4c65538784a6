"""What augmentation changes, what it leaves alone, and that a seed decides it."""

import pytest

torch = pytest.importorskip("torch", reason="teacher and student need torch")

from diverloop.decoders.augment import AugmentConfig, augment, corrupt, move
from diverloop.decoders.corpus import Batch
from diverloop.runtime.errors import ConfigError

ALWAYS = AugmentConfig(
    drop_probability=1.0,
    reference_probability=1.0,
    line_probability=1.0,
    noise_probability=1.0,
    forget_positions=1.0,
)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_batch(n_rows=3, n_channels=8, n_times=600, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Batch(
        x=20 * torch.randn(n_rows, n_channels, n_times, generator=generator),
        positions=torch.rand(n_rows, n_channels, 3, generator=generator) * 100,
        modality=torch.zeros(n_rows, dtype=torch.int64),
        subtypes=torch.full((n_rows, n_channels), -1),
        usable=torch.ones(n_rows, n_channels, dtype=torch.bool),
    )


def seeded(seed=5):
    return torch.Generator().manual_seed(seed)


def only(**chosen):
    """One augmentation, all others off."""
    off = AugmentConfig.off()
    values = {name: getattr(off, name) for name in AugmentConfig.__dataclass_fields__}
    return AugmentConfig(**{**values, **chosen})


def test_the_same_seed_spoils_the_same_way_and_another_does_not():
    batch = make_batch()
    first, second = (augment(batch, ALWAYS, seeded()) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert torch.equal(torch.nan_to_num(one.float()), torch.nan_to_num(other.float()))
    assert not torch.equal(first.x, augment(batch, ALWAYS, seeded(6)).x)


def test_the_clean_batch_is_left_as_it_was():
    batch = make_batch()
    before = [part.clone() for part in batch]
    augment(batch, ALWAYS, seeded())
    assert all(torch.equal(part, old) for part, old in zip(batch, before, strict=True))


def test_nothing_changes_when_all_is_off():
    batch = make_batch()
    spoilt = augment(batch, AugmentConfig.off(), seeded())
    assert all(torch.equal(part, old) for part, old in zip(spoilt, batch, strict=True))


def test_lost_channels_are_zero_not_usable_and_never_more_than_the_share():
    batch = make_batch(n_rows=200, n_channels=10, n_times=50)
    spoilt = augment(batch, only(drop_probability=1.0, drop_most=0.5), seeded())
    lost = (~spoilt.usable).sum(dim=1)
    assert lost.max() in (4, 5)
    assert lost.min() == 0
    assert not spoilt.x[~spoilt.usable].any()
    assert torch.equal(spoilt.x[spoilt.usable], batch.x[spoilt.usable])


def test_a_channel_that_was_not_usable_stays_so_and_is_not_counted():
    batch = make_batch(n_rows=50, n_channels=4, n_times=50)
    batch.usable[:, 1] = False
    spoilt = augment(batch, ALWAYS, seeded())
    assert not spoilt.usable[:, 1].any()
    assert spoilt.usable.any(dim=1).all()


def test_a_lone_channel_survives_everything():
    spoilt = augment(make_batch(n_channels=1), ALWAYS, seeded())
    assert spoilt.usable.all()
    assert spoilt.x.isfinite().all()
    assert spoilt.x.abs().max() > 1


def test_another_reference_keeps_the_differences_between_channels():
    batch = make_batch(n_rows=40)
    spoilt = augment(batch, only(reference_probability=1.0), seeded())
    kept = spoilt.usable
    for row in range(40):
        was, now = batch.x[row, kept[row]], spoilt.x[row, kept[row]]
        torch.testing.assert_close(now - now[:1], was - was[:1], atol=1e-4, rtol=1e-4)
    changed = (spoilt.x - batch.x).abs().amax(dim=(1, 2)) > 1
    assert changed.all()
    # About half of the rows are referenced to one channel, which is then gone.
    assert 10 <= (~kept).any(dim=1).sum() <= 30


def test_hum_lies_at_mains_frequency_and_its_harmonics():
    batch = make_batch(n_rows=20, n_times=1000)
    added = corrupt(batch, only(line_probability=1.0), seeded()).x - batch.x
    power = torch.fft.rfft(added, dim=2).abs().square().sum(dim=(0, 1))
    at = [round(hz * 1000 / 500) for mains in (50, 60) for hz in (mains, 2 * mains, 3 * mains)]
    at += [400, 480]
    assert power[at].sum() > 0.999 * power.sum()
    assert power[100] > 0
    assert power[120] > 0


def test_noise_grows_with_the_channel_it_is_added_to():
    batch = make_batch(n_rows=60)
    batch.x[:, 0] *= 100
    added = corrupt(batch, only(noise_probability=1.0, noise_most=0.3), seeded()).x - batch.x
    share = added.std(dim=2) / batch.x.std(dim=2)
    assert share.max() < 0.33
    assert share[:, 0].mean() == pytest.approx(0.15, abs=0.04)
    assert share[:, 1:].mean() == pytest.approx(0.15, abs=0.02)


def test_jitter_shifts_all_channels_alike_by_a_few_samples():
    batch = make_batch(n_rows=30)
    moved = move(batch, only(jitter_s=0.01), seeded()).x
    shifts = set()
    for row in range(30):
        inside = slice(10, -10)
        found = [
            shift
            for shift in range(-5, 6)
            if torch.equal(moved[row, :, inside], batch.x[row].roll(-shift, 1)[:, inside])
        ]
        assert len(found) == 1
        shifts.add(found[0])
    assert min(shifts) < -2
    assert max(shifts) > 2


def test_gain_is_within_its_range_and_differs_between_channels():
    batch = make_batch(n_rows=100)
    moved = move(batch, only(gain_recording=2.0, gain_channel=1.25), seeded()).x
    gain = (moved / batch.x).mean(dim=2)
    torch.testing.assert_close(moved, batch.x * gain[..., None], rtol=1e-4, atol=1e-4)
    assert gain.max() < 2.5
    assert gain.min() > 0.4
    assert gain.std(dim=1).min() > 0.01


def test_positions_are_forgotten_for_whole_recordings():
    spoilt = augment(make_batch(n_rows=100), only(forget_positions=0.3), seeded())
    unknown = spoilt.positions.isnan().flatten(1)
    assert (unknown.all(dim=1) == unknown.any(dim=1)).all()
    assert 15 <= unknown.all(dim=1).sum() <= 45


@pytest.mark.parametrize(
    "wrong",
    [{"drop_most": 0.95}, {"gain_channel": 0.5}, {"jitter_s": -1}, {"line_probability": 2}],
)
def test_a_setting_out_of_range_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        AugmentConfig(**wrong)
