"""Speech: from envelope frames of intracranial signal to words, while they are being attempted."""
