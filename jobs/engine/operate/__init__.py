"""What operators use: the doctor, the deployment check, metrics, trends, workers, clean-up.

Keys in the broker:
    wh:trend                           the counts of /metrics, once a minute for a day
"""
