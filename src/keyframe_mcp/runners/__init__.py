"""Who calls `advance`. The embedded runner lives in the server's own process."""
