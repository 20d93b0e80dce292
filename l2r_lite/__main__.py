"""`python -m l2r_lite` is the command l2r-lite; accelerate starts it so: `accelerate launch … -m l2r_lite run …`."""

import sys

from l2r_lite.app.cli import main

if __name__ == "__main__":
    sys.exit(main())
