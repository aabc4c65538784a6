"""Write docs/devices.md from the records beside the classes: python tests/devices_page.py."""

from __future__ import annotations

from pathlib import Path

from diverloop.hardware.devices import devices_page

PAGE = Path(__file__).resolve().parents[1] / "docs" / "devices.md"

if __name__ == "__main__":
    PAGE.write_text(devices_page(), encoding="utf-8")
