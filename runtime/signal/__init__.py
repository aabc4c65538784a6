"""Causal conditioning: what stands between samples and windows."""
