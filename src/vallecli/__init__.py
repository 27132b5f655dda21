"""vallecli: VALL-E voice cloning on the command line (arXiv 2301.02111)."""

__version__ = "0.12.0"
