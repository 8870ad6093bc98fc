"""What reports, refunds, corrects and credits conversions, and tests that all of it works."""

from datetime import datetime

import strawberry

from app.auth import Permission
from app.clicks.classifier import SELF_TEST_AGENT
from app.errors import Refused
from app.models import ConversionStatus
from app.resolvers import conversions, ledger, refunds, self_test
from app.resolvers.change import Change
from app.resolvers.conversion_reports import Report
from app.schema.context import Info
from app.schema.conversions import Conversion
from app.schema.money import MoneyInput
from app.schema.mutations import UserError, key, mutation, outcome, user_errors
from app.schema.permissions import Needs
from app.schema.scalars import CurrencyCode, Decimal


@strawberry.input(
    description="What `recordConversion` takes. An order ID or the ID of a click at least."
)
class RecordConversionInput:
    program_id: strawberry.ID | None = strawberry.field(
        default=None, description="The program. Left out, the key's own."
    )
    type: str = strawberry.field(
        default="purchase", description="What happened: lower-case letters, digits and `._-`."
    )
    order_id: str | None = strawberry.field(
        default=None,
        description="The shop's order ID. The same type and order again is the same conversion.",
    )
    click_id: str | None = strawberry.field(
        default=None, description="The click ID that the redirect put on the destination."
    )
    click_ids: list[str] = strawberry.field(
        default_factory=list,
        description="All that the shop has kept of this buyer, 10 at most: the program's model "
        "says which of them earns it.",
    )
    coupon: str | None = strawberry.field(default=None, description="The coupon that was used.")
    link_code: str | None = strawberry.field(
        default=None, description="The code of the tracking link, where no click is known."
    )
    value: MoneyInput | None = strawberry.field(
        default=None, description="What it is worth. Left out, the program's fixed value."
    )
    occurred_at: datetime | None = strawberry.field(
        default=None, description="When it happened, 90 days ago at most. Left out, now."
    )

    def as_report(self) -> Report:
        one = () if self.click_id is None else (self.click_id,)
        return Report(
            type=self.type,
            order_id=self.order_id,
            click_ids=(*self.click_ids, *one),
            coupon=self.coupon,
            link_code=self.link_code,
            amount=None if self.value is None else self.value.amount,
            currency=None if self.value is None else self.value.currency_code,
            occurred_at=self.occurred_at,
        )


@strawberry.type(description="What `recordConversion` answers.")
class RecordConversionPayload:
    conversion: Conversion | None = outcome(
        "The conversion, or the first one if this contradicts it, or null if there are other "
        "errors."
    )
    is_duplicate: bool = strawberry.field(
        default=False, description="Whether it had been reported before."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="An order of a program.")
class OrderInput:
    program_id: strawberry.ID | None = strawberry.field(
        default=None, description="The program. Left out, the key's own."
    )
    type: str = strawberry.field(default="purchase", description="The conversion's type.")
    order_id: str = strawberry.field(description="The shop's order ID.")


@strawberry.input(description="Which conversion. Give exactly one.", one_of=True)
class ConversionByInput:
    id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="The ID.")
    order: OrderInput | None = strawberry.field(
        default=strawberry.UNSET,
        description="The order, even if its sale has not been reported yet.",
    )


@strawberry.input(description="What `refundConversion` takes.")
class RefundConversionInput:
    conversion: ConversionByInput = strawberry.field(description="The conversion to refund.")
    amount: Decimal | None = strawberry.field(
        default=None,
        description="How much, in the conversion's currency. Left out, all that is left.",
    )
    currency_code: CurrencyCode | None = strawberry.field(
        default=None,
        description="The currency, which must be the conversion's. Needed when its sale has not "
        "been reported yet.",
    )
    reason: str = strawberry.field(description="Why.")
    idempotency_key: str = strawberry.field(
        description="A key of the caller's own choice. The same key again changes nothing."
    )


@strawberry.type(description="What `refundConversion` answers.")
class RefundConversionPayload:
    conversion: Conversion | None = outcome(
        "The conversion as it is now, or null if there are errors or its sale is still awaited."
    )
    is_duplicate: bool = strawberry.field(
        default=False, description="Whether this refund had been made before."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `correctConversion` takes.")
class CorrectConversionInput:
    id: strawberry.ID = strawberry.field(description="The conversion to correct.")
    amount: Decimal = strawberry.field(
        description="What it is worth, in its currency: at least what has been refunded."
    )
    reason: str = strawberry.field(description="Why.")
    idempotency_key: str = strawberry.field(
        description="A key of the caller's own choice. The same key again changes nothing."
    )


@strawberry.type(description="What `correctConversion` answers.")
class CorrectConversionPayload:
    conversion: Conversion | None = outcome(
        "The conversion as it is now, or null if there are errors."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `creditConversion` takes.")
class CreditConversionInput:
    id: strawberry.ID = strawberry.field(description="The conversion to credit.")
    tracking_link_id: strawberry.ID = strawberry.field(description="The link to credit it to.")


@strawberry.type(description="What `creditConversion` answers.")
class CreditConversionPayload:
    conversion: Conversion | None = outcome(
        "The conversion as it is now, or null if there are errors."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `conversionSelfTest` takes.")
class ConversionSelfTestInput:
    program_id: strawberry.ID = strawberry.field(description="The program to test.")


@strawberry.type(description="One step of the self-test.")
class SelfTestStep:
    name: str = strawberry.field(description="What was tried.")
    is_ok: bool = strawberry.field(description="Whether it works.")
    message: str = strawberry.field(description="What was found.")
    advice: str | None = strawberry.field(description="What to do about it, if it does not work.")


@strawberry.type(description="What `conversionSelfTest` answers.")
class ConversionSelfTestPayload:
    is_ok: bool = strawberry.field(default=False, description="Whether every step works.")
    steps: list[SelfTestStep] = strawberry.field(
        default_factory=list, description="The steps in their order. Empty if there are errors."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.type
class ConversionMutation:
    @mutation(
        "Report a conversion. The same type and order ID again returns the first one unchanged.",
        needs=Permission.REPORT_CONVERSIONS,
    )
    async def record_conversion(
        self, change: Change, input: RecordConversionInput
    ) -> RecordConversionPayload:
        program_id = None if input.program_id is None else key("prg", input.program_id) or 0
        done = await conversions.record(change, program_id, input.as_report(), is_verified=True)
        errors = [UserError.of(conversions.CONFLICT)] if done.is_conflict else []
        return RecordConversionPayload(
            conversion=Conversion.of(done.conversion),
            is_duplicate=done.is_duplicate,
            user_errors=errors,
        )

    @mutation(
        "Refund a conversion, in whole or in part. It counts where its sale does.",
        needs=Permission.REPORT_CONVERSIONS,
    )
    async def refund_conversion(
        self, change: Change, input: RefundConversionInput
    ) -> RefundConversionPayload:
        by, order = input.conversion, input.conversion.order
        program_id = key("prg", order.program_id) or 0 if order and order.program_id else None
        asked = refunds.Refund(
            type=order.type if order else "purchase",
            order_id=order.order_id if order else None,
            amount=input.amount,
            currency=input.currency_code,
            reason=input.reason,
            idempotency_key=input.idempotency_key,
        )
        row, is_duplicate = await (
            refunds.refund_order(change, program_id, asked)
            if order
            else refunds.refund(change, key("cnv", by.id or None), asked)
        )
        is_awaited = row.status is ConversionStatus.AWAITED
        return RefundConversionPayload(
            conversion=None if is_awaited else Conversion.of(row), is_duplicate=is_duplicate
        )

    @mutation(
        "Correct what a conversion is worth, from the day on which it happened.",
        needs=Permission.REPORT_CONVERSIONS,
    )
    async def correct_conversion(
        self, change: Change, input: CorrectConversionInput
    ) -> CorrectConversionPayload:
        row = await ledger.correct(
            change,
            key("cnv", input.id),
            amount=input.amount,
            reason=input.reason,
            idempotency_key=input.idempotency_key,
        )
        return CorrectConversionPayload(conversion=Conversion.of(row))

    @mutation("Credit an uncredited conversion to a link by hand, for good.")
    async def credit_conversion(
        self, change: Change, input: CreditConversionInput
    ) -> CreditConversionPayload:
        row = await ledger.credit(change, key("cnv", input.id), key("lnk", input.tracking_link_id))
        return CreditConversionPayload(conversion=Conversion.of(row))

    @strawberry.mutation(
        description="Follow a link of the program over HTTP, report what was bought by that click, and "
        "say what works. The click and its conversions are stored as tests, which are in no figure "
        "and no list.",
        extensions=[Needs(Permission.MANAGE)],
        metadata={"cost": 100},
    )
    async def conversion_self_test(
        self, info: Info, input: ConversionSelfTestInput
    ) -> ConversionSelfTestPayload | None:
        context = info.context
        try:
            steps = await self_test.run(
                context.database,
                context.viewer,
                key("prg", input.program_id),
                now=context.now,
                base_url=context.settings.base_url,
                local_url=context.settings.local_url,
                agent=SELF_TEST_AGENT,
            )
        except Refused as refused:
            faults = [UserError.of(fault) for fault in refused.faults]
            return ConversionSelfTestPayload(user_errors=faults)
        return ConversionSelfTestPayload(
            is_ok=all(step.is_ok for step in steps),
            steps=[
                SelfTestStep(
                    name=step.name, is_ok=step.is_ok, message=step.message, advice=step.advice
                )
                for step in steps
            ],
        )
