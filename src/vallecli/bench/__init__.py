"""The speed of the stages of generation, and how near it is to what the machine can do: `valle bench`."""
