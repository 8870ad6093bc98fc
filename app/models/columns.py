"""The column types that more than one table uses, alike on SQLite and PostgreSQL."""

from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import BigInteger, Dialect, Enum, Integer, MetaData, SmallInteger
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from app.ids import new_id

# Constraints have names, or a migration could not find them again.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata: MetaData = SQLModel.metadata

# SQLite makes only a column called INTEGER its row id; there it holds 64 bits all the same.
BIG = BigInteger().with_variant(Integer, "sqlite")


class IntEnumType(TypeDecorator[IntEnum]):
    """An IntEnum stored as its number, so that SQL can compare and order it."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, enum: type[IntEnum]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: IntEnum | int | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> IntEnum | None:
        return None if value is None else self.enum(value)


def primary_key() -> Any:
    """A random 63-bit key that the application makes: see ``app.ids``."""
    return Field(default_factory=new_id, primary_key=True, sa_type=BIG)


def foreign_key(target: str, **options: Any) -> Any:
    """A reference that restricts: nothing here is deleted because something else was."""
    options.setdefault("index", False)
    return Field(foreign_key=target, sa_type=BIG, **options)


def text_enum(enum: type[StrEnum], *, name: str) -> Enum:
    """An enumeration stored as its word, with a CHECK that knows the words."""
    return Enum(enum, native_enum=False, create_constraint=True, length=16, name=name)
