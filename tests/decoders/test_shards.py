"""Shards: cut, dealt out, proved whole, put together again."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field

import pytest

torch = pytest.importorskip("torch", reason="shards hold tensors")

from diverloop.decoders.ranks import Ranks
from diverloop.decoders.shards import Shards, retire, write_shards
from diverloop.runtime.errors import BundleError

TENSORS = {
    "matrix": torch.arange(60.0).reshape(20, 3),
    "vector": torch.arange(7, dtype=torch.int64),
    "number": torch.tensor(4.5),
    "empty": torch.zeros(0, 3),
    "half": torch.ones(4, 2, dtype=torch.bfloat16),
}
ALONE = Ranks(rank=0, n=1, device=torch.device("cpu"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads(Ranks):
    """Processes that are threads: they meet at a barrier."""

    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))

    def wait(self):
        self.barrier.wait(20)


def written(path, most_bytes=1 << 20, ranks=ALONE, tensors=TENSORS):
    write_shards(path, tensors, {"step": 3}, ranks, most_bytes)
    return Shards(path)


def files(path):
    return sorted(file.name for file in path.iterdir())


def assert_holds_all(shards):
    shards.verify()
    for name, tensor in TENSORS.items():
        found = shards.whole(name)
        assert found.dtype == tensor.dtype
        assert torch.equal(found, tensor)


def test_what_was_written_is_read_with_its_note(tmp_path):
    shards = written(tmp_path / "a")
    assert_holds_all(shards)
    assert shards.index.note == {"step": 3}
    assert files(tmp_path / "a") == ["index.json", "shard-00000-00000.safetensors"]


@pytest.mark.parametrize("most_bytes", [1, 24, 100])
def test_no_file_is_larger_than_allowed_unless_a_row_is(tmp_path, most_bytes):
    shards = written(tmp_path / "a", most_bytes)
    assert_holds_all(shards)
    sizes = {}
    for name, entry in shards.index.tensors.items():
        row = TENSORS[name].element_size() * (TENSORS[name].stride(0) if entry.shape else 1)
        for piece in entry.pieces:
            sizes.setdefault(piece.file, []).append((piece.stop - piece.first) * row)
    assert len(sizes) > 3
    assert all(sum(held) <= most_bytes or len(held) == 1 for held in sizes.values())


def test_rows_are_read_across_files(tmp_path):
    shards = written(tmp_path / "a", 40)
    assert torch.equal(shards.rows("matrix", 5, 17), TENSORS["matrix"][5:17])


def test_several_processes_deal_out_what_all_of_them_hold(tmp_path):
    barrier = threading.Barrier(3)
    peers = [
        Threads(rank=rank, n=3, device=torch.device("cpu"), barrier=barrier) for rank in range(3)
    ]
    threads = [
        threading.Thread(target=written, args=(tmp_path / "a", 1 << 20, one)) for one in peers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    shards = Shards(tmp_path / "a")
    assert_holds_all(shards)
    assert {name.split("-")[1] for name in shards.index.files} == {"00000", "00001", "00002"}


def test_a_missing_shard_is_named(tmp_path):
    shards = written(tmp_path / "a", 100)
    gone = list(shards.index.files)[1]
    (tmp_path / "a" / gone).unlink()
    with pytest.raises(BundleError, match=rf"lacks {gone}, one of its \d+ shards"):
        shards.verify()
    with pytest.raises(BundleError, match="does not hold what its index"):
        shards.whole("matrix")


def test_an_altered_shard_is_found_by_its_hash_by_whoever_looks_at_it(tmp_path):
    shards = written(tmp_path / "a", 100)
    second = tmp_path / "a" / list(shards.index.files)[1]
    content = bytearray(second.read_bytes())
    content[-1] ^= 1
    second.write_bytes(bytes(content))
    shards.verify(0, 2)
    with pytest.raises(BundleError, match=f"{second.name} has been altered"):
        shards.verify(1, 2)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("format",), "another"),
        (("files",), {"../../x.safetensors": "0" * 64}),
        (("tensors", "matrix", "pieces"), [["shard-00000-00000.safetensors", 0, 19]]),
        (("tensors", "matrix", "pieces"), [["shard-00000-00000.safetensors", 1, 20]]),
        (("tensors", "matrix", "pieces"), [["gone.safetensors", 0, 20]]),
        (("tensors", "matrix", "shape"), "long"),
    ],
)
def test_a_table_of_contents_that_cannot_be_is_refused(tmp_path, where, value):
    written(tmp_path / "a")
    index = tmp_path / "a" / "index.json"
    content = json.loads(index.read_text())
    place = content
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    index.write_text(json.dumps(content))
    with pytest.raises(BundleError, match="cannot be read as a checkpoint"):
        Shards(tmp_path / "a")


def test_a_table_that_promises_another_shape_is_refused(tmp_path):
    written(tmp_path / "a")
    index = tmp_path / "a" / "index.json"
    index.write_text(index.read_text().replace("[20,3]", "[20,4]"))
    with pytest.raises(BundleError, match=r"matrix in the shape \[20, 3\]"):
        Shards(tmp_path / "a").whole("matrix")


def test_what_a_killed_process_left_is_taken_away(tmp_path):
    for name in (".b.part", ".c.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shard").write_bytes(b"half")
    assert_holds_all(written(tmp_path / "a"))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_is_replaced_and_retired_as_a_whole(tmp_path):
    written(tmp_path / "a", tensors={"old": torch.ones(1)})
    assert_holds_all(written(tmp_path / "a"))
    retire(tmp_path / "a")
    retire(tmp_path / "a")
    assert not list(tmp_path.iterdir())
