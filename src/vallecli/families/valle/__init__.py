"""The two transformers of VALL-E as plain modules: no files, no hub, no loops."""
