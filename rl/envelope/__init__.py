"""What holds whatever a learner proposes. Investigational, not a medical device."""
