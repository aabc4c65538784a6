"""Decoders of velocity, and how they adapt while somebody steers. Investigational, not a device."""
