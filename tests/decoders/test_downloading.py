import hashlib
import http.server
import ipaddress
import shutil
import socket
import ssl
import threading
from collections import namedtuple
from contextlib import contextmanager
from datetime import UTC, datetime

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from diverloop.decoders.downloading import fetch, file_sha256
from diverloop.runtime.errors import BundleError, ConfigError

CONTENT = np.random.default_rng(1).bytes(1_000_003)
OTHER = np.random.default_rng(2).bytes(len(CONTENT))
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)
Disk = namedtuple("Disk", "total used free")


class Shelf(http.server.ThreadingHTTPServer):
    """A server that holds one file and can be told how to misbehave."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Clerk)
        self.content = CONTENT
        self.etag = '"one"'
        self.honours_ranges = True
        self.tells_length = True
        self.status = 200
        self.kind = "application/octet-stream"
        self.breaks_after = []
        """Bytes after which each coming connection is cut, as long as there are any."""
        self.sends_to = None
        self.ranges = []
        """What was asked for: first byte, 0 for a whole file."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/weights.pt"


class Clerk(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        shelf = self.server
        asked = self.headers.get("Range", "bytes=0-")
        first = int(asked.removeprefix("bytes=").removesuffix("-"))
        shelf.ranges.append(first)
        changed = self.headers.get("If-Range", shelf.etag) != shelf.etag
        if not shelf.honours_ranges or changed:
            first = 0
        if shelf.sends_to:
            self.send_response(302)
            self.send_header("Location", shelf.sends_to)
            self.end_headers()
        elif first and first >= len(shelf.content):
            self.send_error(416)
        elif shelf.status != 200:
            self.send_error(shelf.status)
        else:
            self.send_content(shelf, first)

    def send_content(self, shelf, first):
        body = shelf.content[first:]
        self.send_response(206 if first else 200)
        self.send_header("Content-Type", shelf.kind)
        if shelf.tells_length:
            self.send_header("Content-Length", str(len(body)))
        if shelf.etag:
            self.send_header("ETag", shelf.etag)
        if first:
            n_bytes = len(shelf.content)
            self.send_header("Content-Range", f"bytes {first}-{n_bytes - 1}/{n_bytes}")
        self.end_headers()
        self.wfile.write(body[: shelf.breaks_after.pop(0)] if shelf.breaks_after else body)

    def log_message(self, *args):
        pass


@contextmanager
def serving(tls=None):
    shelf = Shelf()
    if tls is not None:
        shelf.socket = tls.wrap_socket(shelf.socket, server_side=True)
    thread = threading.Thread(target=shelf.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield shelf
    finally:
        shelf.shutdown()
        thread.join()
        shelf.server_close()


@pytest.fixture
def shelf():
    with serving() as made:
        yield made


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_and_nothing_is_left_beside_it(shelf, tmp_path):
    seen = []
    got = fetch(shelf.url, tmp_path / "new" / "a.pt", SHA256, SIZE, lambda *n: seen.append(n))
    assert got == SHA256
    assert (tmp_path / "new" / "a.pt").read_bytes() == CONTENT
    assert names(tmp_path / "new") == ["a.pt"]
    assert seen[-1] == (SIZE, SIZE)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert len(seen) > 1


def test_a_broken_connection_is_taken_up_again_where_it_broke(shelf, tmp_path):
    shelf.breaks_after = [300_000, 200_000]
    assert fetch(shelf.url, tmp_path / "a.pt", SHA256, SIZE) == SHA256
    assert (tmp_path / "a.pt").read_bytes() == CONTENT
    assert shelf.ranges == [0, 300_000, 500_000]


def test_a_fetch_that_was_given_up_goes_on_later(shelf, tmp_path):
    shelf.breaks_after = [400_000, 0]
    with pytest.raises(BundleError, match=r"broke at byte 400000 .*fetch again to go on"):
        fetch(shelf.url, tmp_path / "a.pt", SHA256, SIZE)
    assert names(tmp_path) == ["a.pt.part", "a.pt.part.version"]
    seen = []
    fetch(shelf.url, tmp_path / "a.pt", SHA256, SIZE, lambda *n: seen.append(n))
    assert shelf.ranges[-1] == 400_000
    assert seen[0][0] > 400_000
    assert names(tmp_path) == ["a.pt"]
    assert (tmp_path / "a.pt").read_bytes() == CONTENT


def test_a_kill_in_the_middle_of_a_block_loses_nothing_that_is_on_disk(shelf, tmp_path):
    class KilledError(Exception):
        pass

    def kill(done, of):
        if done > 300_000:
            raise KilledError

    with pytest.raises(KilledError):
        fetch(shelf.url, tmp_path / "a.pt", SHA256, SIZE, kill)
    there = (tmp_path / "a.pt.part").stat().st_size
    assert there > 300_000
    assert fetch(shelf.url, tmp_path / "a.pt", SHA256, SIZE) == SHA256
    assert shelf.ranges == [0, there]


def test_a_server_that_ignores_ranges_makes_it_start_over(shelf, tmp_path):
    (tmp_path / "a.pt.part").write_bytes(OTHER[:600_000])
    (tmp_path / "a.pt.part.version").write_text('"one"')
    shelf.honours_ranges = False
    assert fetch(shelf.url, tmp_path / "a.pt", SHA256, SIZE) == SHA256
    assert shelf.ranges == [600_000]


def test_halves_of_two_versions_never_meet_even_without_a_known_hash(shelf, tmp_path):
    shelf.breaks_after = [400_000, 0]
    with pytest.raises(BundleError):
        fetch(shelf.url, tmp_path / "a.pt")
    shelf.content, shelf.etag = OTHER, '"two"'
    fetch(shelf.url, tmp_path / "a.pt")
    assert (tmp_path / "a.pt").read_bytes() == OTHER


def test_a_server_that_names_no_version_is_asked_for_everything_unless_the_hash_is_known(
    shelf, tmp_path
):
    shelf.etag = ""
    (tmp_path / "a.pt.part").write_bytes(CONTENT[:600_000])
    shutil.copy(tmp_path / "a.pt.part", tmp_path / "b.pt.part")
    assert fetch(shelf.url, tmp_path / "a.pt") == SHA256
    assert fetch(shelf.url, tmp_path / "b.pt", SHA256) == SHA256
    assert shelf.ranges == [0, 600_000]


@pytest.mark.parametrize("there", [SIZE, SIZE + 5])
def test_a_part_that_is_complete_is_only_checked_and_one_that_is_too_long_is_dropped(
    shelf, tmp_path, there
):
    (tmp_path / "a.pt.part").write_bytes((CONTENT + b"extra")[:there])
    assert fetch(shelf.url, tmp_path / "a.pt", SHA256, SIZE) == SHA256
    assert (tmp_path / "a.pt").read_bytes() == CONTENT
    assert shelf.ranges == ([] if there == SIZE else [SIZE + 5, 0])


def test_a_wrong_hash_removes_the_file(shelf, tmp_path):
    shelf.content = OTHER
    with pytest.raises(BundleError, match=rf"wanted is {SHA256[:12]}.*was removed"):
        fetch(shelf.url, tmp_path / "a.pt", SHA256, SIZE)
    assert names(tmp_path) == []


def test_without_a_known_hash_the_one_that_came_is_kept_and_held_against_the_file(shelf, tmp_path):
    path = tmp_path / "a.safetensors"
    assert fetch(shelf.url, path) == SHA256
    assert (tmp_path / "a.safetensors.sha256").read_text() == f"{SHA256}  a.safetensors\n"
    assert fetch(shelf.url, path) == SHA256
    path.write_bytes(OTHER)
    with pytest.raises(BundleError, match=f"wanted is {SHA256[:12]}.*move it away"):
        fetch(shelf.url, path)
    (tmp_path / "a.safetensors.sha256").write_text("")
    with pytest.raises(BundleError, match="no record says"):
        fetch(shelf.url, path)
    assert shelf.ranges == [0]
    assert path.read_bytes() == OTHER


def test_a_file_that_is_there_is_not_fetched_again_and_never_overwritten(shelf, tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(CONTENT)
    seen = []
    assert fetch(shelf.url, path, SHA256, SIZE, lambda *n: seen.append(n)) == SHA256
    assert seen == [(SIZE, SIZE)]
    path.write_bytes(OTHER)
    with pytest.raises(BundleError, match="move it away"):
        fetch(shelf.url, path, SHA256, SIZE)
    assert path.read_bytes() == OTHER
    assert shelf.ranges == []


@pytest.mark.parametrize(
    ("status", "told"),
    [(404, "no such file any more"), (410, "no such file"), (403, "refuses"), (503, "later")],
)
def test_a_refusal_is_told_with_its_number(shelf, tmp_path, status, told):
    shelf.status = status
    with pytest.raises(BundleError, match=rf"{told}.*"):
        fetch(shelf.url, tmp_path / "a.pt", SHA256, SIZE)
    with pytest.raises(BundleError, match=f"HTTP {status}"):
        fetch(shelf.url, tmp_path / "a.pt", SHA256, SIZE)
    assert names(tmp_path) == []


def test_a_web_page_is_not_taken_for_the_file(shelf, tmp_path):
    shelf.content, shelf.kind = b"<html>Please sign in</html>", "text/html; charset=utf-8"
    with pytest.raises(BundleError, match="a web page and not a file"):
        fetch(shelf.url, tmp_path / "a.pt")
    assert names(tmp_path) == []


@pytest.mark.parametrize("tells_length", [True, False])
def test_a_git_lfs_pointer_is_not_taken_for_the_file(shelf, tmp_path, tells_length):
    shelf.tells_length = tells_length
    shelf.content = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 25515984\n"
    with pytest.raises(BundleError, match="Git-LFS pointer"):
        fetch(shelf.url, tmp_path / "a.pt", SHA256, SIZE)
    assert names(tmp_path) == []


@pytest.mark.parametrize("tells_length", [True, False])
def test_a_file_of_another_size_is_refused(shelf, tmp_path, tells_length):
    shelf.tells_length = tells_length
    with pytest.raises(BundleError, match=f"it must have {SIZE - 7}: the file was replaced"):
        fetch(shelf.url, tmp_path / "a.pt", SHA256, SIZE - 7)
    assert "a.pt" not in names(tmp_path)


def test_a_server_that_does_not_tell_the_length_is_read_to_the_end(shelf, tmp_path):
    shelf.tells_length = False
    seen = []
    assert fetch(shelf.url, tmp_path / "a.pt", None, None, lambda *n: seen.append(n)) == SHA256
    assert seen[-1] == (SIZE, None)


def test_a_disk_that_is_too_small_is_noticed_before_anything_is_written(
    shelf, tmp_path, monkeypatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Disk(1 << 30, 0, 5 << 20))
    with pytest.raises(BundleError, match="5 MiB free, needed are 16 MiB: make room"):
        fetch(shelf.url, tmp_path / "a.pt", SHA256, SIZE)
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_told(shelf, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match=r"cannot be read or written.*check folder"):
        fetch(shelf.url, tmp_path / "file" / "a.pt", SHA256, SIZE)


def test_no_network_is_told_with_the_host(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/a"
        with pytest.raises(BundleError, match=r"127.0.0.1 cannot be reached .*check the network"):
            fetch(url, tmp_path / "a.pt", timeout_s=2.0)


def test_a_server_that_falls_silent_is_given_up(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a"
        with pytest.raises(BundleError, match="timed out"):
            fetch(url, tmp_path / "a.pt", timeout_s=0.1)


@pytest.mark.parametrize(
    "url", ["http://example.org/a", "file:///etc/passwd", "ftp://127.0.0.1/a", "https:///a", "a.pt"]
)
def test_only_https_is_followed(tmp_path, url):
    with pytest.raises(ConfigError, match="use an https address"):
        fetch(url, tmp_path / "a.pt")


@pytest.mark.parametrize("target", ["http://example.org/a", "ftp://127.0.0.1/a"])
def test_a_redirection_may_not_leave_https(shelf, tmp_path, target):
    shelf.sends_to = target
    with pytest.raises(BundleError, match="leads on to"):
        fetch(shelf.url, tmp_path / "a.pt")


def test_a_redirection_keeps_the_range(shelf, tmp_path):
    (tmp_path / "a.pt.part").write_bytes(CONTENT[:250_000])
    with serving() as front:
        front.sends_to = shelf.url
        assert fetch(front.url, tmp_path / "a.pt", SHA256, SIZE) == SHA256
    assert shelf.ranges == [250_000]


def self_signed(folder):
    """A certificate for this machine that nobody has signed but itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    return path


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path, monkeypatch):
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(context) as shelf:
        url = shelf.url.replace("http", "https", 1)
        with pytest.raises(BundleError, match=r"cannot be reached .*CERTIFICATE_VERIFY_FAILED"):
            fetch(url, tmp_path / "a.pt", SHA256, SIZE)
        # The same server is fine once somebody does.
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert fetch(url, tmp_path / "a.pt", SHA256, SIZE) == SHA256


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(CONTENT)
    assert file_sha256(tmp_path / "a") == SHA256
