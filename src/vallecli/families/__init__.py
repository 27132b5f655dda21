"""Checkpoint families: each folder is one architecture, behind the protocols of base.py."""
