"""Draws what it is told."""
