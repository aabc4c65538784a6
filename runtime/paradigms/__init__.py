"""Paradigms as data: what is shown when, which markers say so, and what a marker asks for."""
