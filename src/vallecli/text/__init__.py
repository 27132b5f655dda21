"""From written text to token ids, without torch."""
