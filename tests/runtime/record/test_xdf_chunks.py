from __future__ import annotations

import struct
from xml.etree import ElementTree

import numpy as np
import pytest
import pyxdf
from hypothesis import example, given
from hypothesis import strategies as st

from diverloop.runtime.messages import Channel
from diverloop.runtime.record import xdf_chunks
from diverloop.runtime.record.xdf_chunks import stream_xml


def load(path) -> dict[int, dict]:
    streams, _ = pyxdf.load_xdf(str(path), synchronize_clocks=False, dejitter_timestamps=False)
    return {stream["info"]["stream_id"]: stream for stream in streams}


def test_a_text_that_utf8_cannot_hold_is_written_as_its_escape_and_stops_nothing():
    assert b"a\\udc80b" in xdf_chunks.text_samples(0, ["a\udc80b"], [0.0])


def test_a_stream_of_ours_says_its_channels_units_and_places_in_millimetres(tmp_path):
    channels = [Channel(name="C3 <left>", position_m=(-0.065, 0.0, 0.0875)), Channel(name="x")]
    path = tmp_path / "a.xdf"
    xml = stream_xml(
        name="amp", type="EEG", channel_format="float32", nominal_srate=250.0, source_id="s",
        created_at=12.5, uid="u", channels=channels, description={"manifest": '{"a": "<&>"}'},
    )  # fmt: skip
    path.write_bytes(xdf_chunks.file_header() + xdf_chunks.stream_header(1, xml))
    info = load(path)[1]["info"]
    assert (info["channel_count"], info["channel_format"]) == (["2"], ["float32"])
    assert (info["source_id"], info["uid"], float(info["created_at"][0])) == (["s"], ["u"], 12.5)
    assert float(info["nominal_srate"][0]) == 250
    assert info["desc"][0]["manifest"] == ['{"a": "<&>"}']
    first, second = info["desc"][0]["channels"][0]["channel"]
    assert (first["label"], first["type"], first["unit"]) == (
        ["C3 <left>"],
        ["EEG"],
        ["microvolts"],
    )
    assert [float(first["location"][0][axis][0]) for axis in "XYZ"] == [-65.0, 0.0, 87.5]
    assert "location" not in second


@given(name=st.text(), words=st.text())
@example(name="\r\n\t", words="\x00\x1f\ud800\ufffe]]>")
def test_any_text_survives_in_a_description_but_for_what_xml_cannot_hold(name, words):
    xml = stream_xml(name=name, type="t", channel_format="int8", description={"words": words})
    info = ElementTree.fromstring(xml)
    for sent, read in ((name, info.findtext("name")), (words, info.findtext("desc/words"))):
        assert len(read) == len(sent)
        assert all(a == b or b == "\ufffd" for a, b in zip(sent, read, strict=True))
    if name.isprintable():
        assert info.findtext("name") == name


def test_chunks_are_laid_out_as_the_format_says():
    uuid = "43a546dccbf5410fb30ed5467383cbe4"
    assert xdf_chunks.boundary() == b"\x01\x12\x05\x00" + bytes.fromhex(uuid)
    offset = xdf_chunks.clock_offset(258, 1.5, -2.0)
    assert offset == b"\x01\x16\x04\x00\x02\x01\x00\x00" + struct.pack("<dd", 1.5, -2.0)
    rows = xdf_chunks.numeric_samples(1, np.array([[1, -2]], "<i2"), [0.5])
    assert (
        rows == b"\x01\x15\x03\x00\x01\0\0\0\x01\x01\x08" + struct.pack("<d", 0.5) + b"\1\0\xfe\xff"
    )
    text = xdf_chunks.text_samples(1, ["µ"], [0.5])
    assert (
        text == b"\x01\x15\x03\x00\x01\0\0\0\x01\x01\x08" + struct.pack("<d", 0.5) + b"\1\2\xc2\xb5"
    )
    assert xdf_chunks.file_header("2026").startswith(b"XDF:\x01")
    assert xdf_chunks.stream_header(5, "é")[1:] == b"\x08\x02\x00\x05\0\0\0\xc3\xa9"


@pytest.mark.parametrize(
    ("content", "start"),
    [(253, b"\x01\xff"), (254, b"\x04\x00\x01\0\0"), (65534, b"\x04\x00\x00\x01\x00")],
)
def test_a_length_takes_one_byte_up_to_255_and_four_beyond(content, start):
    chunk = xdf_chunks.stream_header(0, b"x" * (content - 4))
    assert chunk[: len(start)] == start
    assert len(chunk) == len(start) + 2 + content


@pytest.mark.parametrize(
    ("values", "stamps_s"),
    [
        (np.zeros((2, 1), ">f4"), [0, 1]),
        (np.zeros((2, 1), "<u2"), [0, 1]),
        (np.zeros(2, "<f4"), [0, 1]),
        (np.zeros((2, 1), "<f4"), [0]),
        (np.zeros((2, 1), "<f4"), [[0, 1]]),
    ],
)
def test_rows_that_the_format_does_not_know_are_refused(values, stamps_s):
    with pytest.raises(ValueError, match="got"):
        xdf_chunks.numeric_samples(1, values, stamps_s)


def test_a_description_refuses_a_format_or_an_element_that_does_not_exist():
    with pytest.raises(ValueError, match="'float16'"):
        stream_xml(name="a", type="b", channel_format="float16")
    with pytest.raises(ValueError, match="'1 x'"):
        stream_xml(name="a", type="b", channel_format="int8", description={"1 x": ""})
