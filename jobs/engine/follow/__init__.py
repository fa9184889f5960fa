"""Follow jobs live: the event log, and those who wait for what comes into it."""
