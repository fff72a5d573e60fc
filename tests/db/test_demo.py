"""The demo organization of `slotwire up`, whatever somebody has done to it since the last start."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.core import db
from app.core.settings import Settings
from app.core.vault import Vault
from app.demo import prepare_demo
from app.domain.event_types.models import EventTypeFields, HostRef
from app.domain.event_types.service import archive_event_type, create_event_type, list_event_types
from app.domain.identity.keys import authenticate


@pytest.mark.parametrize("kept", [True, False])
async def test_it_starts_again_after_its_event_type_was_archived(
    settings: Settings, conn: db.Connection, vault: Vault, tmp_path: Path, kept: bool
) -> None:
    own = settings.model_copy(update={"data_dir": tmp_path})
    first = await prepare_demo(own)
    demo = await authenticate(conn, first.api_key, vault, datetime.now(UTC))
    now = datetime.now(UTC)
    for each in await list_event_types(conn, demo.org_id, None, 10):
        await archive_event_type(conn, demo.org_id, each.id, now)
    if kept:
        fields = EventTypeFields(code="other", slug="other", title="Other", hosts=(HostRef(demo.user_id),))
        await create_event_type(conn, demo.org_id, fields, now)
    again = await prepare_demo(own)
    assert again.api_key == first.api_key
    assert f'"event_type":"{"other" if kept else "intro"}"' in again.curl
