"""Finished works of many sentences: books, dialogues, and dubbed films."""
