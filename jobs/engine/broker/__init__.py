"""The way to the broker: connections, the records of jobs, and the scripts that change them."""
