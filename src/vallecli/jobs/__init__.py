"""Batches: table -> plan -> run -> results. A run writes a folder of audio and can be resumed at any point."""
