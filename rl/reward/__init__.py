"""From what people and detectors say to rewards of trials. Investigational, not a medical device."""
