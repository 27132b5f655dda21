"""The library of named voices on this machine, and the consent of their speakers."""
