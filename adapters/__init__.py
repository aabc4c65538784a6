"""Embedding to decision."""
