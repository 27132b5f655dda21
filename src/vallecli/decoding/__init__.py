"""The loops that turn the models' logits into codes."""
