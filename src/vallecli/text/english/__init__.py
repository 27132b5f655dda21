"""English: the normalizer, which converts written to spoken text, and phonemes in ARPAbet."""
