"""From what people and detectors say to rewards. Investigational, not a medical device."""
