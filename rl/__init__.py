"""Online adaptation of the decoder, inside an envelope. Investigational, not a medical device."""
