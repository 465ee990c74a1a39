"""``python -m elbo.reference``."""

import sys

from elbo.reference import main

if __name__ == "__main__":
    sys.exit(main())
