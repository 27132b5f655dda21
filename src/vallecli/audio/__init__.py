"""Reading, preparing, writing, streaming and playing audio. No module here imports torch."""
