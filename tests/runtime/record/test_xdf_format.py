from __future__ import annotations

import numpy as np
import pytest

from diverloop.runtime.errors import RecordingError
from diverloop.runtime.record.xdf_format import NUMBER_FORMATS, Tally, row_dtype, tally_of

INFO = "<info><channel_format>{}</channel_format><channel_count>{}</channel_count></info>"


@pytest.mark.parametrize("values", NUMBER_FORMATS.values())
def test_a_row_in_the_file_has_no_padding(values):
    row = row_dtype(values, 3)
    assert row.itemsize == 9 + 3 * values.itemsize
    assert [row.fields[name][1] for name in row.names] == [0, 1, 9]


@pytest.mark.parametrize("channel_format", [*NUMBER_FORMATS, "string"])
def test_every_format_is_read_from_a_description_as_text_or_bytes(channel_format):
    for xml in (INFO.format(channel_format, 7), INFO.format(f" {channel_format} ", 7).encode()):
        assert tally_of(xml) == Tally(channel_format=channel_format, channel_count=7)


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ("<info>", "cannot be read"),
        ("<info/>", "cannot be read"),
        (INFO.format("int8", "many"), "cannot be read"),
        (INFO.format("undefined", 1), "1 channels in 'undefined'"),
        (INFO.format("int8", -1), "-1 channels"),
        (INFO.format("int8", 10**9), "1000000000 channels"),
    ],
)
def test_a_description_without_usable_rows_is_refused(xml, reason):
    with pytest.raises(RecordingError, match=reason):
        tally_of(xml)


def test_a_tally_keeps_the_first_stamp_and_moves_the_last():
    tally = Tally(channel_format="int8", channel_count=1)
    for stamps_s in ([], [2.0, 3.0], [], [1.0]):
        tally.add(np.array(stamps_s))
    assert (tally.count, tally.first_s, tally.last_s) == (3, 2.0, 1.0)
