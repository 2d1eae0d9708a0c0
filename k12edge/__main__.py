"""The command line as a module: `python -m k12edge`."""

import sys

from k12edge.cli import main

sys.exit(main())
