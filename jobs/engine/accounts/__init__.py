"""Users, their credentials, rate limits, and the audit log.

The web process and the command line use this room; `client` takes an `Admission` from it, and `author` looks up the
owner of a file. The room knows the broker and the rooms below it, and no job.

Keys in the broker:
    wh:users                           the names of all users
    wh:user:<user>                     a user
    wh:emails                          users by e-mail address
    wh:admins                          the names of all administrators
    wh:closed:<user>                   a user who is being removed
    wh:apikey:<digest>                 an API key
    wh:apikeys:<user>                  a user's API keys
    wh:signin:<digest>                 a sign-in link
    wh:session:<digest>                a browser session
    wh:ticket:<digest>                 a ticket for a stream
    wh:rate:<user>                     how soon a user may send the next request
    wh:rate:stranger:<address…>        the same for requests without a user
    wh:rate:sign-in:name:<digest>      the same for failed sign-ins by name
    wh:rate:sign-in:from:<address…>    the same for failed sign-ins by address
    wh:audit                           the audit log
"""
