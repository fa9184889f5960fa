"""Follow jobs live: one listener in a process reads each change once, for all of the process's followers.

Changes come in over the broker's channels `wh:job:<id>` and `wh:feed:<user>`, which the scripts publish to; messages
go out through inboxes. This room only reads.

Keys in the broker: none of its own.
"""
