"""Certificates of one own authority: who is who, issuing, revoking, and the files a node or a person has of it."""
