"""What people and detectors say, as rewards of trials. Investigational, not a medical device."""
