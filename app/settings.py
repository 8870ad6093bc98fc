"""Everything an operator may choose, from ``TRACKLINKS_*`` in the environment.

``docs/settings.md`` describes each one with what it costs; a test compares the two.
"""

from email.errors import MessageError
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="TRACKLINKS_", frozen=True, extra="ignore")

    # Where things are.
    data_dir: Path = Field(
        default=Path(".data"),
        description="Folder of the embedded database, the click journal and caches.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="postgresql://… to use PostgreSQL. Empty: SQLite in the data folder.",
    )
    base_url: str = Field(
        default="http://127.0.0.1:8000",
        description="The public address of short links, scheme and host, without a path.",
    )
    own_hosts: list[str] = Field(
        default=[],
        description="Further host names of this server, refused as destinations like the one of "
        "base_url. A JSON list.",
    )
    allow_private_destinations: bool = Field(
        default=False,
        description="Accept loopback, private and single-label hosts as destinations.",
    )

    # How it is served.
    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on.")
    workers: int = Field(default=1, ge=1, le=64, description="How many server processes.")
    trusted_proxies: list[str] = Field(
        default=[],
        description="Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto count. "
        "A JSON list.",
    )
    demo: bool = Field(
        default=False, description="Demo mode: GraphiQL with a key and example tabs filled in."
    )
    graphiql: bool = Field(default=False, description="Serve GraphiQL at /graphql to browsers.")

    # The click path.
    recorder: Literal["process", "off"] = Field(
        default="process",
        description="process: the server starts and watches one recorder for the machine. "
        "off: clicks stay in the journal until `tracklinks record` runs.",
    )
    journal_fsync: Literal["second", "always", "never"] = Field(
        default="second",
        description="When the journal is forced to the disk. A crash of the process loses nothing "
        "with any of them; a power cut loses up to a second, nothing, or what the system had not "
        "yet written.",
    )
    journal_max_mb: int = Field(
        default=1024,
        ge=64,
        description="How much disk the click journal may take before clicks are lost.",
    )
    country_database: Path | None = Field(
        default=None,
        description="A MaxMind country database (.mmdb). With it each click keeps its country; the "
        "address is looked up at the redirect and never written.",
    )
    duplicate_window_s: int = Field(
        default=10,
        ge=0,
        le=3600,
        description="A visitor's next hit on the same link within so many seconds is a duplicate.",
    )
    excluded_networks: list[str] = Field(
        default=[],
        description="Addresses or networks whose hits are excluded: your own office, your "
        "monitors. A JSON list.",
    )
    unknown_codes_per_minute: int = Field(
        default=30,
        ge=1,
        description="How many unknown codes an address may ask one worker for; then 429. Codes "
        "that exist always redirect.",
    )

    # Messages.
    smtp_host: str | None = Field(
        default=None,
        description="The mail server that messages go out by. Empty: they stay in the outbox.",
    )
    smtp_port: int = Field(default=587, ge=1, le=65535, description="The mail server's port.")
    smtp_security: Literal["none", "starttls", "tls"] = Field(
        default="starttls",
        description="How the connection to the mail server is secured: starttls (port 587), tls "
        "(port 465) or none.",
    )
    smtp_username: str | None = Field(
        default=None, description="Who logs in at the mail server. Empty: nobody."
    )
    smtp_password: SecretStr | None = Field(
        default=None, description="The password for the mail server."
    )
    mail_from: str | None = Field(
        default=None,
        description="Whom messages are from: team@brand.example or Brand <team@brand.example>.",
    )
    signing_secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Signs the addresses of creators' pages. Empty: a random one, made once and "
        "kept in the data folder.",
    )

    @field_validator("base_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _with_a_sender(self) -> Self:
        if self.smtp_host is not None:
            try:
                self.sender  # noqa: B018 - raises what is wrong with it
            except (ValueError, IndexError, MessageError) as error:
                raise ValueError("TRACKLINKS_MAIL_FROM must be an address to send from") from error
        return self

    @property
    def sender(self) -> Address:
        """Whom messages are from."""
        name, address = parseaddr(self.mail_from or "")
        return Address(name, addr_spec=address)

    @property
    def database(self) -> str:
        """The database's address: PostgreSQL's, or ``sqlite:///`` and the file's path."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'tracklinks.db'}"
