"""Everything an operator may choose, from ``TRACKLINKS_*`` in the environment.

``docs/settings.md`` describes each one with what it costs; a test compares the two.
"""

import re
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

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

    abuse_contact: str | None = Field(
        default=None,
        description="Whom to tell of a link that does harm: mailto:… or https://…. It is served in "
        "/.well-known/security.txt.",
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
    metrics: bool = Field(default=False, description="Serve figures for Prometheus at /metrics.")

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
    keep_clicks_days: int = Field(
        default=90,
        ge=7,
        description="How many days single clicks are kept. Reports never change by it.",
    )
    keep_excluded_days: int = Field(
        default=30,
        ge=7,
        description="How many days single hits are kept that are excluded, or on archived links.",
    )
    unknown_codes_per_minute: int = Field(
        default=30,
        ge=1,
        description="How many unknown codes an address may ask one worker for; then 429. Codes "
        "that exist always redirect.",
    )

    # The graph's edge.
    cors_origins: list[str] = Field(
        default=[],
        description="Web origins whose pages may ask the graph, or `*`. A JSON list. Empty: only "
        "pages of this server itself.",
    )
    graphql_introspection: bool = Field(
        default=True,
        description="Answer questions about the schema, and suggest names when one is wrong.",
    )
    trusted_documents: Path | None = Field(
        default=None,
        description="A JSON file of SHA-256 to query text, as graphql-codegen writes it. Clients "
        "may then send the hash instead of the text.",
    )
    only_trusted_documents: bool = Field(
        default=False, description="Execute nothing but trusted documents."
    )
    graphql_max_body_kb: int = Field(
        default=256, ge=1, description="The largest request body and WebSocket message, in KiB."
    )
    graphql_deadline_s: float = Field(
        default=5, gt=0, le=9, description="How long a query or mutation may run, in seconds."
    )
    graphql_max_length: int = Field(
        default=65_536, ge=1, description="Characters in a query's text."
    )
    graphql_max_tokens: int = Field(default=2000, ge=1, description="Tokens in a query's text.")
    graphql_max_operations: int = Field(
        default=10, ge=1, description="Operations in a query's text."
    )
    graphql_max_fragments: int = Field(default=50, ge=0, description="Fragments in a query's text.")
    graphql_max_depth: int = Field(
        default=15, ge=1, description="Fields within fields of an operation."
    )
    graphql_max_nesting: int = Field(
        default=45,
        ge=1,
        le=100,
        description="Selections within selections of an operation: fields, fragments and spreads.",
    )
    graphql_max_fields: int = Field(
        default=500, ge=1, le=5000, description="Fields of an operation, its fragments written out."
    )
    graphql_max_spreads: int = Field(
        default=250,
        ge=0,
        le=5000,
        description="Fragment spreads and inline fragments of an operation, written out.",
    )
    graphql_max_aliases: int = Field(
        default=30, ge=0, description="Aliases of an operation, its fragments written out."
    )
    graphql_max_directives: int = Field(
        default=8, ge=0, description="Directives of an operation, its fragments written out."
    )
    graphql_max_repeats: int = Field(
        default=20, ge=1, description="How often an operation may name one place in its answer."
    )
    graphql_max_root_fields: int = Field(
        default=20, ge=1, description="Root fields of an operation."
    )
    graphql_max_root_mutation_fields: int = Field(
        default=5, ge=1, description="Root fields of a mutation."
    )
    graphql_max_cost: int = Field(
        default=10_000, ge=1, description="Cost of an operation: objects times page sizes."
    )
    graphql_max_page_size: int = Field(
        default=100, ge=1, description="Items of a page, and IDs in an `ids` argument."
    )
    graphql_cached_documents: int = Field(
        default=500,
        ge=1,
        description="Query texts that each server process keeps parsed and checked.",
    )
    graphql_cached_characters: int = Field(
        default=400_000,
        ge=1,
        description="Characters of the query texts kept; each may take 300 bytes of memory.",
    )
    graphql_requests_per_minute: int = Field(
        default=600, ge=1, description="Graph requests of a key in each server process."
    )
    graphql_cost_per_minute: int = Field(
        default=60_000, ge=1, description="Cost that a key may cause in each server process."
    )
    graphql_auth_failures_per_minute: int = Field(
        default=20,
        ge=1,
        description="Requests without a valid key that an address may make before it reads 429.",
    )
    graphql_max_subscriptions: int = Field(
        default=20,
        ge=0,
        description="Subscriptions that a key may have open in each server process.",
    )

    # Reports.
    max_downloads: int = Field(
        default=4,
        ge=1,
        description="CSV files that a key, or who has a shared report's address, may have sent at a "
        "time by each server process.",
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

    @field_validator("abuse_contact")
    @classmethod
    def _that_can_be_contacted(cls, value: str | None) -> str | None:
        # No space nor line break: it is a line of security.txt.
        if (
            value is not None
            and re.fullmatch(r"mailto:[!-~]+@[!-~]+|https://[!-~]+", value) is None
        ):
            raise ValueError("must be mailto: and an address, or begin with https://")
        return value

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
    def all_own_hosts(self) -> frozenset[str]:
        """The names of this server, that of its public address among them."""
        own = urlsplit(self.base_url).hostname
        return frozenset(self.own_hosts) | ({own} if own else set())

    @property
    def link_changes(self) -> Path:
        """The file by which the processes of this machine tell each other of changed links."""
        return self.data_dir / "link-changes"

    @property
    def local_url(self) -> str:
        """Where this machine reaches the server itself, past any proxy."""
        host = "127.0.0.1" if self.host in {"", "0.0.0.0", "::"} else self.host  # noqa: S104 - compared with
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def database(self) -> str:
        """The database's address: PostgreSQL's, or ``sqlite:///`` and the file's path."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'tracklinks.db'}"
