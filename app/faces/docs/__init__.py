"""The documentation that a running Slotwire serves: the OpenAPI document, the pages that show it, and llms.txt."""
