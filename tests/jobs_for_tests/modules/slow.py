"""A module whose import takes longer than a lease lasts, and than it takes to find a lease expired twice."""

import time

time.sleep(12)
