"""Limits on what batteries may charge and discharge, and those who ask for them."""
