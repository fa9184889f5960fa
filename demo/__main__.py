"""Take the tour: `python -m demo`."""

import sys

from demo.tour import main

sys.exit(main())
