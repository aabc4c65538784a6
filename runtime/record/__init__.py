"""What a session leaves on disk, and what can be proved from it."""
