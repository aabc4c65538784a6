import builtins

import pytest

from diverloop.runtime.errors import ConfigError, RecordingError
from diverloop.runtime.record.report import write_pdf, write_report

from .conftest import noise


def pretend(monkeypatch, error: Exception) -> None:
    """Let the import of WeasyPrint fail."""
    real = builtins.__import__

    def refuse(name, *rest, **more):
        if name == "weasyprint":
            raise error
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)


@pytest.fixture
def printable():
    """Skips where WeasyPrint or Pango is missing."""
    pytest.importorskip("matplotlib")
    try:
        import weasyprint  # noqa: F401
    except (ImportError, OSError):
        pytest.skip("WeasyPrint or Pango is not installed")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImportError("none"), "WeasyPrint, which is not installed"),
        (OSError("cannot load library"), "does not find the Pango library"),
    ],
)
def test_what_is_missing_is_named_with_a_way_out(monkeypatch, tmp_path, error, words):
    pretend(monkeypatch, error)
    with pytest.raises(ConfigError, match=words) as raised:
        write_pdf(tmp_path / "a.html", tmp_path / "a.pdf")
    assert "print it" in str(raised.value)


def test_a_report_becomes_a_pdf(printable, bare_record, tmp_path):
    page = write_report(bare_record(noise(2, 1000)), tmp_path / "a.html")
    pdf = write_pdf(page, tmp_path / "a.pdf")
    assert pdf.read_bytes().startswith(b"%PDF")


def test_a_missing_page_is_named(printable, tmp_path):
    with pytest.raises(RecordingError, match=r"gone\.html"):
        write_pdf(tmp_path / "gone.html", tmp_path / "a.pdf")
