"""Pictures and videos. The heavy half runs in a worker process; see `workshop` and `orders`."""
