"""Finished works from many sentences: books, dialogues and dubbed tracks, spoken by the engine of a batch."""
