"""Kinds of values that several nouns of `/v1` share."""

from typing import Annotated

from pydantic import Field, StringConstraints

from app.web.fields import Handle

BufferMinutes = Annotated[int, Field(ge=0, le=1440)]
Slug = Handle
Reference = Annotated[str, StringConstraints(max_length=100)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]
