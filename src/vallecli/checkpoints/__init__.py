"""Checkpoints on disk and on the hub: registry, download, import, and the only reader of weight files."""
