"""Found first on its path, Python imports this as it starts: the clock on the wall is CLOCK_OFF_SECONDS off."""

import os
import time

import time_machine

time_machine.travel(time.time() + float(os.environ["CLOCK_OFF_SECONDS"]), tick=True).start()
# It begins to tick when it is first looked at; in a zygote nobody does, and each of its horses would begin anew.
time.time()
