"""Modules that jobs preload. They are in a package of their own, which is not searched for jobs."""
