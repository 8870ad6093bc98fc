"""Who may use a field. Which rows they then see is the resolvers' matter: see ``app.auth``."""

from collections.abc import Awaitable, Callable
from typing import Any

from graphql import GraphQLError
from strawberry.extensions import FieldExtension

from app.auth import Permission
from app.schema.context import Info


class Needs(FieldExtension):
    """Refuses a field to roles without this permission. Every field of the root has one; None
    is for what every key may ask."""

    def __init__(self, permission: Permission | None) -> None:
        self.permission = permission

    async def resolve_async(
        self, next_: Callable[..., Awaitable[Any]], source: Any, info: Info, **arguments: Any
    ) -> Any:
        if self.permission is not None:
            check(info, self.permission)
        return await next_(source, info, **arguments)


def check(info: Info, permission: Permission) -> None:
    viewer = info.context.viewer
    if not viewer.may(permission):
        raise GraphQLError(
            f"A key of the role {viewer.role} may not use `{info.field_name}`.",
            extensions={"code": "FORBIDDEN"},
        )
