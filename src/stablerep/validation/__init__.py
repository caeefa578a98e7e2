"""Checks at the boundaries: table schemas for every stage, and gates before money is spent."""
