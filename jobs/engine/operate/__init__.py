"""Tools for operators: the doctor, the deploy check, metrics, trends, workers and the clean-up.

The command line, `/metrics` and `/overview` call in; the clean-up runs as a job. This room reads the records of the
others and repairs them; it starts no jobs.

Keys in the broker:
    wh:trend                           the counts of `/metrics`, once a minute for a day
"""
