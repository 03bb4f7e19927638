"""What `make test` has no time for: thousands of seeds, sessions at full timers over and over, a whole day, minutes of load."""
