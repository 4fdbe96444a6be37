"""``python -m logpx`` is the command ``logpx``."""

import sys

from logpx.cli import command

if __name__ == "__main__":
    sys.exit(command())
