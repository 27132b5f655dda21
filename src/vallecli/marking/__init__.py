"""The watermark of generated speech: marking and detection."""
