"""The watermark of generated speech: marking and detection."""

UNMARKED_NOTE = "no watermark, because it is too short or silent"  # begins the note on a sentence
