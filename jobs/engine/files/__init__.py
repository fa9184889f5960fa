"""Stored files: their records, and their bytes in a folder or in S3."""
