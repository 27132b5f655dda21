"""Codecs: audio to discrete codes and back, each on its audio grid."""
