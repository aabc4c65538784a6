"""What the participant sees: cues, stimuli, feedback; each frame counted, each flip on record."""
