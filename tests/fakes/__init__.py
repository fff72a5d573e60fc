"""Providers of calendars as small servers: for tests, and for a trial without an account."""
