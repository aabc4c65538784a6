"""Rules by which a head is changed, one a file. Investigational, not a medical device."""
