"""API keys in the graph, and who is asking."""

from datetime import datetime

import strawberry

from app import models
from app.auth import Permission
from app.models import Role
from app.resolvers import keys
from app.resolvers.change import Change
from app.schema.campaigns import Campaign
from app.schema.connections import After, Before, Connection, First, Last, connect
from app.schema.context import Info
from app.schema.mutations import UserError, key, mutation, outcome, user_errors
from app.schema.nodes import Node, node
from app.schema.permissions import Needs
from app.schema.programs import Program


@node
@strawberry.type(
    description="A key to this API. Its text is shown once, when it is created. Only `ADMIN` keys "
    "see keys."
)
class ApiKey(Node):
    prefix = "key"
    model = models.ApiKey

    name: str = strawberry.field(description="The name shown to staff.")
    kid: str = strawberry.field(
        description="The part of the key that is no secret, to tell keys apart."
    )
    role: Role = strawberry.field(description="What the key may do.")
    created_at: datetime = strawberry.field(description="When it was created.")
    last_used_at: datetime | None = strawberry.field(
        description="When it was last used, to the minute, or null if never."
    )
    expires_at: datetime | None = strawberry.field(
        description="When it stops working by itself, or null if never."
    )
    revoked_at: datetime | None = strawberry.field(
        description="When it was revoked, for good, or null while it works."
    )

    @classmethod
    def of(cls, row: models.ApiKey) -> "ApiKey":
        return cls(
            id=cls.id_of(row),
            row=row,
            name=row.name,
            kid=row.kid,
            role=row.role,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
        )

    @classmethod
    async def load(cls, info: Info, key: int | None) -> "ApiKey | None":
        """As for every node, but only for who may see keys at all."""
        if not info.context.viewer.may(Permission.ADMINISTER):
            return None
        return await super().load(info, key)

    @strawberry.field(
        description="The program that the key is for, or null for the installation's own."
    )
    async def program(self, info: Info) -> Program | None:
        return await Program.load(info, self.row.program_id)

    @strawberry.field(
        description="The campaigns that the key is limited to. Empty when it sees all of its "
        "program."
    )
    async def campaigns(self, info: Info) -> list[Campaign]:
        limited = await info.context.loaders.key_campaigns.load(self.row.id) or ()
        found = await info.context.loaders.row(models.Campaign).load_many(limited)
        return [Campaign.of(row) for row in found if row is not None]


@strawberry.type(description="Who is calling.")
class Viewer:
    role: Role = strawberry.field(description="What the caller may do.")

    @strawberry.field(
        description="The program that the caller sees, or null for the installation's own key."
    )
    async def program(self, info: Info) -> Program | None:
        return await Program.load(info, info.context.viewer.program_id)

    @strawberry.field(
        description="The campaigns that the caller is limited to. Empty when they see all of "
        "their program."
    )
    async def campaigns(self, info: Info) -> list[Campaign]:
        limited = sorted(info.context.viewer.campaign_ids or ())
        found = await info.context.loaders.row(models.Campaign).load_many(limited)
        return [Campaign.of(row) for row in found if row is not None]


@strawberry.input(description="What `createApiKey` takes.")
class CreateApiKeyInput:
    name: str = strawberry.field(description="The name shown to staff.")
    role: Role = strawberry.field(description="What the key may do.")
    program_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The program. Left out, the caller's own; the installation's own key then "
        "makes another of its kind.",
    )
    campaign_ids: list[strawberry.ID] = strawberry.field(
        default_factory=list,
        description="The campaigns that it is limited to, 100 at most. All of the program's when "
        "empty.",
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description="When it stops working by itself."
    )


@strawberry.type(description="What `createApiKey` answers.")
class CreateApiKeyPayload:
    api_key: ApiKey | None = outcome("The new key, or null if there are errors.")
    text: str | None = outcome(
        "The key itself, to send as `Authorization: Bearer …`, or null if there are errors. It is "
        "not stored and cannot be shown again."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `rotateApiKey` takes.")
class RotateApiKeyInput:
    id: strawberry.ID = strawberry.field(description="The key to replace.")
    overlap_minutes: int = strawberry.field(
        default=60, description="How long the old one still works: 0 to 10,080 minutes."
    )


@strawberry.type(description="What `rotateApiKey` answers.")
class RotateApiKeyPayload:
    api_key: ApiKey | None = outcome("The new key, or null if there are errors.")
    text: str | None = outcome("The new key itself. It is not stored and cannot be shown again.")
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `revokeApiKey` takes.")
class RevokeApiKeyInput:
    id: strawberry.ID = strawberry.field(description="The key to revoke.")


@strawberry.type(description="What `revokeApiKey` answers.")
class RevokeApiKeyPayload:
    api_key: ApiKey | None = outcome("The revoked key, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.type
class KeyQuery:
    @strawberry.field(description="Who is calling.", extensions=[Needs(None)])
    async def viewer(self, info: Info) -> Viewer | None:
        return Viewer(role=info.context.viewer.role)

    @strawberry.field(
        description="All API keys, revoked ones too, newest first.",
        extensions=[Needs(Permission.ADMINISTER)],
    )
    async def api_keys(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ApiKey] | None:
        return await connect(info, "key", keys.listed, None, (first, after, last, before))


@strawberry.type
class KeyMutation:
    @mutation("Create an API key. Its text is in this answer alone.", needs=Permission.ADMINISTER)
    async def create_api_key(self, change: Change, input: CreateApiKeyInput) -> CreateApiKeyPayload:
        program_id = change.viewer.program_id
        if input.program_id is not None:
            program_id = key("prg", input.program_id) or 0
        row, text = await keys.create(
            change,
            name=input.name,
            role=input.role,
            program_id=program_id,
            campaign_ids=[key("cmp", id_) for id_ in input.campaign_ids],
            expires_at=input.expires_at,
        )
        return CreateApiKeyPayload(api_key=ApiKey.of(row), text=text)

    @mutation(
        "Make a new key like this one, and let the old one end after an overlap.",
        needs=Permission.ADMINISTER,
    )
    async def rotate_api_key(self, change: Change, input: RotateApiKeyInput) -> RotateApiKeyPayload:
        row, text = await keys.rotate(
            change, key("key", input.id), overlap_minutes=input.overlap_minutes
        )
        return RotateApiKeyPayload(api_key=ApiKey.of(row), text=text)

    @mutation(
        "Revoke an API key, for good. It stops working at once. Again, it changes nothing.",
        needs=Permission.ADMINISTER,
    )
    async def revoke_api_key(self, change: Change, input: RevokeApiKeyInput) -> RevokeApiKeyPayload:
        row = await keys.revoke(change, key("key", input.id))
        return RevokeApiKeyPayload(api_key=ApiKey.of(row))
