"""What is handed out, tried as whoever gets it would: wheels, the bundle for desktop hosts, the image."""
