"""Worker processes, and the limits of this process and its control groups."""
