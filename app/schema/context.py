"""What every field can reach: who asks, the database, the loaders of this operation."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import strawberry

from app.auth import Viewer
from app.database import Database
from app.messages.addresses import Addresses
from app.schema.loaders import Loaders
from app.settings import Settings


@dataclass
class Context:
    """One operation's. A session is never in here: each field or batch opens its own."""

    viewer: Viewer
    database: Database
    settings: Settings
    check_destination: Callable[[str], str]
    addresses: Addresses
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    loaders: Loaders = field(init=False)

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Load everything anew from here on: something was changed."""
        self.loaders = Loaders(self.database, self.viewer)


Info = strawberry.Info[Context, None]
