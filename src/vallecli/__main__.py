"""`python -m vallecli` is `valle`."""

import sys

from vallecli.cli.app import main

sys.exit(main())
