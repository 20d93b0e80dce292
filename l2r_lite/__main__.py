"""`python -m l2r_lite` is the command l2r-lite; `accelerate launch` starts it so."""

import sys

from l2r_lite.app.cli import main

if __name__ == "__main__":
    sys.exit(main())
