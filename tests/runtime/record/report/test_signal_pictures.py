import pytest

from diverloop.runtime.record.report.signal_pictures import alpha_peak, group_rows, region_of
from diverloop.runtime.record.report.survey import look_through


@pytest.mark.parametrize(
    ("name", "kind", "region"),
    [
        ("Fp1", "eeg", "frontal"),
        ("Cz", "eeg", "central"),
        ("FT10", "eeg", "temporal"),
        ("PO7", "eeg", "occipital"),
        ("E12", "eeg", "E"),
        ("E112", "eeg", "E"),
        ("LA3", "seeg", "LA"),
        ("C3", "ecog", "C"),
        ("17", "eeg", "all"),
        ("", "eeg", "all"),
    ],
)
def test_channels_are_grouped_by_lobe_or_by_shaft(name, kind, region):
    assert region_of(name, kind) == region


def test_every_channel_with_a_spectrum_is_in_one_group(whole):
    survey = look_through(whole[0], None)
    groups = group_rows(survey, ("eeg",) * 16)
    assert sorted(row for rows in groups.values() for row in rows) == list(range(16))
    assert len(groups) <= 6


def test_the_rhythm_is_found_where_it_was_put(whole):
    group, peak_hz, height_db = alpha_peak(look_through(whole[0], None), ("eeg",) * 16)
    assert (group, peak_hz) == ("central", 11.0)
    assert height_db > 10
