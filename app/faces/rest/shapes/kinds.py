"""Kinds of values that several nouns of `/v1` share."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from app.core.shown import Looks, one_of
from app.domain.notifications.language import LOCALES
from app.web.fields import Handle


def _locale(value: str) -> str:
    if value not in LOCALES:
        raise ValueError(f"there are: {', '.join(LOCALES)}")
    return value


BufferMinutes = Annotated[int, Field(ge=0, le=1440)]
Slug = Handle
Reference = Annotated[str, StringConstraints(max_length=100)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]
# of mails; each is a file of phrases
Locale = Annotated[str, AfterValidator(_locale), Looks({"enum": list(LOCALES)})]
LocaleShown = Annotated[str, one_of(*LOCALES)]
