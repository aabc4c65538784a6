"""One program for each runtime that ``tests/bench/peers.py`` measures."""
