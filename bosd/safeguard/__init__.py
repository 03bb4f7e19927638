"""What makes devices safe when the daemon cannot: the guard beside it, and `bosd safe` by hand (control.md, "The guard")."""
