"""One file a family: published files in, a Checkpoint out."""
