"""The page on paper."""

from __future__ import annotations

import logging
from pathlib import Path

from ...errors import ConfigError, RecordingError

_REMEDY = (
    'install it with pip install "diverloop[report]" and, on Debian or Ubuntu, '
    "apt-get install libpango-1.0-0 libpangoft2-1.0-0, or open the HTML file in a browser and "
    "print it."
)


def write_pdf(html_path: str | Path, pdf_path: str | Path) -> Path:
    """Turn a report into a PDF, A4.

    Parameters
    ----------
    html_path : str or Path
        What `write_report` wrote.
    pdf_path : str or Path
        The PDF; overwritten.

    Returns
    -------
    path : Path
        The PDF.

    Raises
    ------
    ConfigError
        If WeasyPrint or the Pango library that it needs is not installed.
    RecordingError
        If the page cannot be read or the PDF cannot be written.
    """
    html_path, pdf_path = Path(html_path), Path(pdf_path)
    try:
        import weasyprint
    except ImportError as error:
        raise ConfigError(f"A PDF needs WeasyPrint, which is not installed: {_REMEDY}") from error
    except OSError as error:
        raise ConfigError(f"WeasyPrint does not find the Pango library: {_REMEDY}") from error
    # It reports every style rule meant for screens only, which is noise here.
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    try:
        page = html_path.read_text(encoding="utf-8")
        # Pictures are inside the page; whatever else it may ask for is not fetched.
        inside_only = weasyprint.urls.URLFetcher(allowed_protocols=("data",))
        weasyprint.HTML(string=page, url_fetcher=inside_only).write_pdf(pdf_path)
    except OSError as error:
        raise RecordingError(
            f"The PDF {pdf_path} cannot be made from {html_path} ({error.strerror}): check that "
            "the page is there and that the folder can be written to."
        ) from error
    return pdf_path
