"""The audit log in the graph."""

import json
from datetime import datetime

import strawberry

from app import models
from app.auth import Permission
from app.ids import encode, split
from app.resolvers import audit
from app.schema.connections import After, Before, Connection, First, Last, connect, keys, texts
from app.schema.context import Info
from app.schema.keys import ApiKey
from app.schema.nodes import NODES, Node, node
from app.schema.permissions import Needs


@strawberry.type(description="One value that a change set.")
class AuditChange:
    field: str = strawberry.field(description="What was set, like `destination_url`.")
    value: str = strawberry.field(
        description="To what, as JSON. `…` where it is personal: the log outlives an erasure."
    )


@node
@strawberry.type(description="One change: who made it, when, and what it set.")
class AuditEntry(Node):
    prefix = "aud"
    model = models.AuditEntry

    at: datetime = strawberry.field(description="When it was made.")
    action: str = strawberry.field(
        description="What was done, as the mutation is called: `archiveTrackingLink`."
    )
    subject_id: strawberry.ID = strawberry.field(
        description="The ID of what it was done to. `Query.node` finds it."
    )
    changes: list[AuditChange] = strawberry.field(description="What was set.")

    @classmethod
    def of(cls, row: models.AuditEntry) -> "AuditEntry":
        return cls(
            id=cls.id_of(row),
            row=row,
            at=row.at,
            action=row.action,
            subject_id=strawberry.ID(encode(row.subject_type, row.subject_id)),
            changes=[
                AuditChange(field=name, value=json.dumps(value, ensure_ascii=False))
                for name, value in row.changes.items()
            ],
        )

    @classmethod
    async def load(cls, info: Info, key: int | None) -> "AuditEntry | None":
        """As for every node, but only for who may read the log at all."""
        if not info.context.viewer.may(Permission.ADMINISTER):
            return None
        return await super().load(info, key)

    @strawberry.field(
        description="The API key that made it, or null when the command line or the server did."
    )
    async def by(self, info: Info) -> ApiKey | None:
        return await ApiKey.load(info, self.row.key_id)

    @strawberry.field(
        description="What it was done to, or null where the caller may not see it any more."
    )
    async def subject(self, info: Info) -> Node | None:
        type_ = NODES.get(self.row.subject_type)
        return None if type_ is None else await type_.load(info, self.row.subject_id)


@strawberry.input(description="Which changes to list. All given conditions must hold.")
class AuditFilterInput:
    subject_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Only those of this object."
    )
    actions: list[str] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only those of these mutations, like `archiveTrackingLink`.",
    )
    key_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those by these API keys."
    )

    def as_filter(self) -> audit.Filter:
        # What is no ID is nobody's: it must find nothing, and not everything.
        subject = (split(self.subject_id) or ("", 0)) if self.subject_id else None
        return audit.Filter(
            subject=subject,
            actions=texts(self.actions, "actions"),
            key_ids=keys("key", self.key_ids, "key_ids"),
        )


@strawberry.type
class AuditQuery:
    @strawberry.field(
        description="Every change of the program, newest first.",
        extensions=[Needs(Permission.ADMINISTER)],
    )
    async def audit_log(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: AuditFilterInput | None = None,
    ) -> Connection[AuditEntry] | None:
        return await connect(
            info,
            "aud",
            audit.listed,
            filter.as_filter() if filter else audit.Filter(),
            (first, after, last, before),
            order=audit.NEWEST_FIRST,
        )
