"""Teams: what `/v1` takes and gives."""

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from app.core.ids import Kind, encode
from app.core.shown import TeamRef, Time, UserRef
from app.core.times import iso
from app.domain.identity.teams import Team
from app.web.fields import Handle, Name, UserId, WireModel, refusal


class TeamIn(WireModel):
    slug: Handle
    name: Name
    user_ids: list[UserId] = Field(default_factory=list, max_length=500)

    @model_validator(mode="after")
    def _names_each_person_once(self) -> "TeamIn":
        if len(set(self.user_ids)) != len(self.user_ids):
            raise refusal("user_ids", "each person once")
        return self


class TeamPatch(TeamIn):
    slug: Handle = ""
    name: Name = ""


class TeamShown(TypedDict):
    id: TeamRef
    slug: str
    name: str
    user_ids: list[UserRef]
    created_at: Time
    updated_at: Time


def team_out(team: Team) -> TeamShown:
    return {
        "id": encode(Kind.TEAM, team.id),
        "slug": team.slug,
        "name": team.name,
        "user_ids": [encode(Kind.USER, user_id) for user_id in team.user_ids],
        "created_at": iso(team.created_at),
        "updated_at": iso(team.updated_at),
    }
