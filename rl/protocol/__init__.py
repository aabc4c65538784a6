"""Training that follows the person from session to session, within a clinician's bounds."""
