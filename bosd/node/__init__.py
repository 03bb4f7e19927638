"""The running node: tasks, timers and devices around the pure core."""
