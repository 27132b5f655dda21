"""Recordings in, speech out: files, prompts, pipes and players, without torch."""
