"""Exercises and questions that the page checks."""
