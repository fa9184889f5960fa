"""An instance on one machine: web and workers around an embedded broker."""
