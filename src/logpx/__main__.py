"""``python -m logpx`` is the command ``logpx``."""

import sys

from logpx.cli import main

if __name__ == "__main__":
    sys.exit(main())
