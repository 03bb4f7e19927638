"""The shell: the earlier interpreter's language against a node (bal.md, "The earlier interpreter's language")."""
