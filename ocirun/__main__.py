"""`python -m ocirun` is the command `ocirun`."""

import sys

from ocirun.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
