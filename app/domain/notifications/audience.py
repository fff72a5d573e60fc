"""Who is told of what: a pure table from events to letters."""
