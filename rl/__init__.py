"""Online adaptation of the decoder. Empty in this release: see "Not there yet" in the README."""
