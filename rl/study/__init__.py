"""Rules of adaptation compared on the same trials. Investigational, not a medical device."""
