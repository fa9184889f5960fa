"""Stored files: their records, and their bytes in a folder or in S3.

The web process uploads and downloads here, `author` gives jobs their files, and `client` checks the files that a
submission names. The room knows users by their ids only.

Keys in the broker:
    wh:file:<file>                     a file's record
    wh:files:<user>                    a user's files by expiry
    wh:files:expiry                    all files by the time at which their bytes are removed
"""
