"""How a program tracks conversions, in the graph: settings, secrets, coupons."""

from datetime import datetime
from typing import Any

import strawberry

from app import models
from app.auth import Permission
from app.models import AttributionModel, Precedence
from app.resolvers import conversion_settings
from app.resolvers.change import Change
from app.schema.context import Info
from app.schema.money import Money, MoneyInput
from app.schema.mutations import UserError, given, key, mutation, outcome, user_errors
from app.schema.nodes import Archivable, Node, node
from app.schema.programs import Program
from app.schema.scalars import CurrencyCode
from app.schema.tracking_links import TrackingLink


@node
@strawberry.type(
    description="A secret that a shop's server signs its reports with. Its text is shown once. "
    "Only `ADMIN` keys see secrets."
)
class ConversionSecret(Node):
    prefix = "sec"
    model = models.ConversionSecret

    name: str = strawberry.field(description="The name shown to staff.")
    created_at: datetime = strawberry.field(description="When it was created.")
    revoked_at: datetime | None = strawberry.field(
        description="When it was revoked, for good, or null while it works."
    )

    @classmethod
    def of(cls, row: models.ConversionSecret) -> "ConversionSecret":
        return cls(
            id=cls.id_of(row),
            row=row,
            name=row.name,
            created_at=row.created_at,
            revoked_at=row.revoked_at,
        )

    @classmethod
    async def load(cls, info: Info, key: int | None) -> "ConversionSecret | None":
        """As for every node, but only for who may see secrets at all."""
        if not info.context.viewer.may(Permission.ADMINISTER):
            return None
        return await super().load(info, key)


@node
@strawberry.type(
    description="A coupon that buyers type in, and the link that earns what is bought with it."
)
class CreatorCoupon(Archivable):
    prefix = "cpn"
    model = models.CreatorCoupon

    code: str = strawberry.field(
        description="The code, unique in the program. It is matched without case."
    )
    created_at: datetime = strawberry.field(description="When it was created.")

    @classmethod
    def of(cls, row: models.CreatorCoupon) -> "CreatorCoupon":
        return cls(
            id=cls.id_of(row),
            row=row,
            code=row.code,
            created_at=row.created_at,
            archived_at=row.archived_at,
        )

    @strawberry.field(description="The link that it credits.")
    async def tracking_link(self, info: Info) -> TrackingLink:
        return await TrackingLink.load(info, self.row.tracking_link_id)


@strawberry.type(description="How a program tracks conversions.")
class ConversionSettings:
    is_on: bool = strawberry.field(
        description="Whether conversions are tracked. Off: figures are null, and links lead to "
        "their destinations exactly."
    )
    click_parameter: str = strawberry.field(
        description="The parameter that takes the click ID to the destination."
    )
    window_days: int = strawberry.field(
        description="How long after a click a conversion is due to it, the last moment included."
    )
    model: AttributionModel = strawberry.field(
        description="Which of several clicks earns a conversion."
    )
    coupon_precedence: Precedence = strawberry.field(
        description="What earns a conversion that came with a coupon and with a click."
    )
    fixed_value: Money | None = strawberry.field(
        description="What a conversion is worth that says nothing itself."
    )
    currencies: list[CurrencyCode] = strawberry.field(
        description="The currencies that are taken. All of them when empty."
    )
    sites: list[str] = strawberry.field(
        description="The hosts whose pages may report. Any page may when empty."
    )
    program_id: strawberry.Private[int]

    @strawberry.field(
        description="The secrets that work. Empty for all but `ADMIN` keys.", metadata={"cost": 5}
    )
    async def secrets(self, info: Info) -> list[ConversionSecret]:
        if not info.context.viewer.may(Permission.ADMINISTER):
            return []
        found = await info.context.loaders.conversion_secrets.load(self.program_id) or ()
        return [ConversionSecret.of(row) for row in found]

    @classmethod
    def of(cls, row: models.ConversionSettings) -> "ConversionSettings":
        return cls(
            is_on=row.is_on,
            click_parameter=row.click_parameter,
            window_days=row.window_days,
            model=row.model,
            coupon_precedence=row.precedence,
            fixed_value=Money.or_none(row.fixed_amount, row.fixed_currency),
            currencies=[CurrencyCode(code) for code in row.currencies],
            sites=list(row.sites),
            program_id=row.program_id,
        )

    @classmethod
    async def of_program(cls, info: Info, program_id: int) -> "ConversionSettings | None":
        if not info.context.viewer.may(Permission.READ):
            return None
        row = await info.context.loaders.conversion_settings.load(program_id)
        return cls.of(row or models.ConversionSettings(program_id=program_id))


@strawberry.input(description="What `updateConversionSettings` takes. What is left out stays.")
class UpdateConversionSettingsInput:
    program_id: strawberry.ID = strawberry.field(description="The program.")
    is_on: strawberry.Maybe[bool] = strawberry.field(
        description="Track conversions, or stop. What was recorded stays."
    )
    click_parameter: strawberry.Maybe[str] = strawberry.field(
        description="A new name for the parameter, like `tlid`, from the next click on."
    )
    window_days: strawberry.Maybe[int] = strawberry.field(
        description="A new window, 1 to 365 days, for conversions from now on."
    )
    model: strawberry.Maybe[AttributionModel] = strawberry.field(
        description="A new model, for conversions from now on."
    )
    coupon_precedence: strawberry.Maybe[Precedence] = strawberry.field(
        description="What wins from now on, a click or a coupon."
    )
    fixed_value: strawberry.Maybe[MoneyInput | None] = strawberry.field(
        description="What a conversion is worth that says nothing itself; null for nothing."
    )
    currencies: strawberry.Maybe[list[CurrencyCode]] = strawberry.field(
        description="The currencies that are taken, 100 at most; empty for all."
    )
    sites: strawberry.Maybe[list[str]] = strawberry.field(
        description="The hosts whose pages may report, and their subdomains, 100 at most; empty "
        "for any."
    )

    def values(self) -> dict[str, Any]:
        values = dict(given(self, but=("program_id",)))
        if "coupon_precedence" in values:
            values["precedence"] = values.pop("coupon_precedence")
        if (fixed := values.get("fixed_value")) is not None:
            values["fixed_value"] = (fixed.amount, fixed.currency_code)
        return values


@strawberry.type(description="What `updateConversionSettings` answers.")
class UpdateConversionSettingsPayload:
    program: Program | None = outcome("The program, or null if there are errors.")
    conversion_settings: ConversionSettings | None = outcome(
        "The settings as they are now, or null if there are errors."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `createConversionSecret` takes.")
class CreateConversionSecretInput:
    program_id: strawberry.ID = strawberry.field(description="The program.")
    name: str = strawberry.field(description="The name shown to staff.")


@strawberry.type(description="What `createConversionSecret` answers.")
class CreateConversionSecretPayload:
    conversion_secret: ConversionSecret | None = outcome(
        "The new secret, or null if there are errors."
    )
    text: str | None = outcome(
        "The secret itself, to sign with, or null if there are errors. It cannot be shown again."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `revokeConversionSecret` takes.")
class RevokeConversionSecretInput:
    id: strawberry.ID = strawberry.field(description="The secret to revoke.")


@strawberry.type(description="What `revokeConversionSecret` answers.")
class RevokeConversionSecretPayload:
    conversion_secret: ConversionSecret | None = outcome(
        "The revoked secret, or null if there are errors."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `createCoupon` takes.")
class CreateCouponInput:
    tracking_link_id: strawberry.ID = strawberry.field(description="The link that it credits.")
    code: str = strawberry.field(description="The code, as the shop takes it.")


@strawberry.type(description="What `createCoupon` answers.")
class CreateCouponPayload:
    coupon: CreatorCoupon | None = outcome("The new coupon, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `archiveCoupon` takes.")
class ArchiveCouponInput:
    id: strawberry.ID = strawberry.field(description="The coupon to archive.")


@strawberry.type(description="What `archiveCoupon` answers.")
class ArchiveCouponPayload:
    coupon: CreatorCoupon | None = outcome("The coupon as it is now, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.type
class ConversionSettingsMutation:
    @mutation("Change how a program tracks conversions.", needs=Permission.ADMINISTER)
    async def update_conversion_settings(
        self, change: Change, input: UpdateConversionSettingsInput
    ) -> UpdateConversionSettingsPayload:
        program, settings = await conversion_settings.update(
            change, key("prg", input.program_id), input.values()
        )
        return UpdateConversionSettingsPayload(
            program=Program.of(program), conversion_settings=ConversionSettings.of(settings)
        )

    @mutation(
        "Create a secret to sign reports with, beside those that work. Its text is in this answer "
        "alone.",
        needs=Permission.ADMINISTER,
    )
    async def create_conversion_secret(
        self, change: Change, input: CreateConversionSecretInput
    ) -> CreateConversionSecretPayload:
        row, text = await conversion_settings.create_secret(
            change, key("prg", input.program_id), name=input.name
        )
        return CreateConversionSecretPayload(conversion_secret=ConversionSecret.of(row), text=text)

    @mutation(
        "Revoke a secret, for good. It stops working at once. Again, it changes nothing.",
        needs=Permission.ADMINISTER,
    )
    async def revoke_conversion_secret(
        self, change: Change, input: RevokeConversionSecretInput
    ) -> RevokeConversionSecretPayload:
        row = await conversion_settings.revoke_secret(change, key("sec", input.id))
        return RevokeConversionSecretPayload(conversion_secret=ConversionSecret.of(row))

    @mutation("Create a coupon for a creator's link.")
    async def create_coupon(self, change: Change, input: CreateCouponInput) -> CreateCouponPayload:
        row = await conversion_settings.create_coupon(
            change, key("lnk", input.tracking_link_id), code=input.code
        )
        return CreateCouponPayload(coupon=CreatorCoupon.of(row))

    @mutation("Archive a coupon, for good. Again, it changes nothing.")
    async def archive_coupon(
        self, change: Change, input: ArchiveCouponInput
    ) -> ArchiveCouponPayload:
        row = await conversion_settings.archive_coupon(change, key("cpn", input.id))
        return ArchiveCouponPayload(coupon=CreatorCoupon.of(row))
