"""Simulated people as Gymnasium environments. Investigational, not a medical device."""
