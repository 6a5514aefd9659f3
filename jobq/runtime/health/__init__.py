"""What a worker tells the platform that it runs on: that it lives, that it works, and its figures."""
