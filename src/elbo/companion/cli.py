"""The command under its former name: a console script that was installed before the move calls this one."""

import sys

from elbo.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
