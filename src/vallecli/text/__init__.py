"""Text front ends. No module here imports torch."""
