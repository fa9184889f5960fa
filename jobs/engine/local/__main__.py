"""Run an instance on this machine: `python -m jobs.engine.local`."""

import sys

from jobs.engine.local.instance import main

sys.exit(main())
