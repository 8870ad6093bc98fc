"""What moves creators through a campaign, many in one call."""

from typing import Any

import strawberry

from app import models
from app.errors import UserErrorCode
from app.models import Stage
from app.resolvers import enrollments
from app.resolvers.change import Change
from app.resolvers.mail_merge import SkipReason
from app.schema.enrollments import Enrollment, EnrollmentResult
from app.schema.messages import Message, SendMessageResult
from app.schema.mutations import UserError, idempotency_key, key, mutation, user_errors
from app.schema.tracking_links import TrackingLink


class _Results:
    """What the payloads of batches have in common: see `app.schema.mutations.Remembered`."""

    results: list[EnrollmentResult]

    def remembered(self) -> dict[str, Any]:
        return {
            "results": [
                {
                    "enrollment": each.enrollment and each.enrollment.row.id,
                    "links": [link.row.id for link in each.generated_tracking_links],
                    "messages": [
                        {
                            "message": sent.message and sent.message.row.id,
                            "reason": sent.skip_reason,
                            "missing": sent.missing,
                            "links": [link.row.id for link in sent.generated_tracking_links],
                        }
                        for sent in each.automatic_messages
                    ],
                    "errors": [
                        [error.code, error.message, error.path] for error in each.user_errors
                    ],
                }
                for each in self.results
            ]
        }

    @classmethod
    async def recalled(cls, change: Change, answer: dict[str, Any]) -> Any:
        kept = answer["results"]
        rows = await change.find(models.Enrollment, {each["enrollment"] for each in kept})
        sent = [one for each in kept for one in each["messages"]]
        links = await change.find(
            models.TrackingLink, {key for each in (*kept, *sent) for key in each["links"]}
        )
        messages = await change.find(models.Message, {one["message"] for one in sent})
        payload: Any = cls
        return payload(
            results=[
                EnrollmentResult(
                    enrollment=Enrollment.of(rows[each["enrollment"]])
                    if each["enrollment"]
                    else None,
                    generated_tracking_links=[TrackingLink.of(links[key]) for key in each["links"]],
                    automatic_messages=[
                        SendMessageResult(
                            enrollment=Enrollment.of(rows[each["enrollment"]]),
                            message=Message.of(messages[one["message"]])
                            if one["message"]
                            else None,
                            skip_reason=SkipReason(one["reason"]) if one["reason"] else None,
                            missing=one["missing"],
                            generated_tracking_links=[
                                TrackingLink.of(links[key]) for key in one["links"]
                            ],
                        )
                        for one in each["messages"]
                    ],
                    user_errors=[
                        UserError(code=UserErrorCode(code), message=message, path=path)
                        for code, message, path in each["errors"]
                    ],
                )
                for each in kept
            ]
        )


def results() -> Any:
    return strawberry.field(
        default_factory=list,
        description="One result for each, in the order given. One failure does not undo the "
        "others. Empty if there are errors.",
    )


def enrollment_ids(what: str) -> Any:
    return strawberry.field(description=f"{what}, 1,000 at most.")


@strawberry.input(description="What `enrollCreators` takes.")
class EnrollCreatorsInput:
    campaign_id: strawberry.ID = strawberry.field(description="The campaign.")
    creator_ids: list[strawberry.ID] = strawberry.field(
        description="The creators, 1,000 at most. One who is already in the campaign stays where "
        "they are."
    )
    stage: Stage | None = strawberry.field(
        default=None,
        description="The stage to begin at; the campaign's first one when left out. Past Applied, "
        "it earns links at once.",
    )
    idempotency_key: str | None = idempotency_key()


@strawberry.type(description="What `enrollCreators` answers.")
class EnrollCreatorsPayload(_Results):
    results: list[EnrollmentResult] = results()
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `promoteEnrollments` takes.")
class PromoteEnrollmentsInput:
    enrollment_ids: list[strawberry.ID] = enrollment_ids("Whom to move on")
    idempotency_key: str | None = idempotency_key()


@strawberry.type(description="What `promoteEnrollments` answers.")
class PromoteEnrollmentsPayload(_Results):
    results: list[EnrollmentResult] = results()
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `moveEnrollments` takes.")
class MoveEnrollmentsInput:
    enrollment_ids: list[strawberry.ID] = enrollment_ids("Whom to move")
    stage: Stage = strawberry.field(description="The stage to move them to.")
    idempotency_key: str | None = idempotency_key()


@strawberry.type(description="What `moveEnrollments` answers.")
class MoveEnrollmentsPayload(_Results):
    results: list[EnrollmentResult] = results()
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `dropEnrollments` takes.")
class DropEnrollmentsInput:
    enrollment_ids: list[strawberry.ID] = enrollment_ids("Whom to drop")
    idempotency_key: str | None = idempotency_key()


@strawberry.type(description="What `dropEnrollments` answers.")
class DropEnrollmentsPayload(_Results):
    results: list[EnrollmentResult] = results()
    user_errors: list[UserError] = user_errors()


@strawberry.type
class EnrollmentMutation:
    @mutation("Add creators to a campaign.", cost=100)
    async def enroll_creators(
        self, change: Change, input: EnrollCreatorsInput
    ) -> EnrollCreatorsPayload:
        done = await enrollments.enroll(
            change,
            key("cmp", input.campaign_id),
            [key("crt", id_) for id_ in input.creator_ids],
            stage=input.stage,
        )
        return EnrollCreatorsPayload(results=[EnrollmentResult.of(each) for each in done])

    @mutation(
        "Move creators on to the next enabled stage. Whoever comes past Applied gets a link of "
        "every live campaign link that they have none of.",
        cost=100,
    )
    async def promote_enrollments(
        self, change: Change, input: PromoteEnrollmentsInput
    ) -> PromoteEnrollmentsPayload:
        done = await enrollments.promote(change, _keys(input.enrollment_ids))
        return PromoteEnrollmentsPayload(results=[EnrollmentResult.of(each) for each in done])

    @mutation(
        "Move creators to any enabled stage, forward or back. Moving back leaves links alone; "
        "coming past Applied again generates only what is missing.",
        cost=100,
    )
    async def move_enrollments(
        self, change: Change, input: MoveEnrollmentsInput
    ) -> MoveEnrollmentsPayload:
        done = await enrollments.move(change, _keys(input.enrollment_ids), input.stage)
        return MoveEnrollmentsPayload(results=[EnrollmentResult.of(each) for each in done])

    @mutation("Take creators out of the campaign. Their links go on working.", cost=100)
    async def drop_enrollments(
        self, change: Change, input: DropEnrollmentsInput
    ) -> DropEnrollmentsPayload:
        done = await enrollments.drop(change, _keys(input.enrollment_ids))
        return DropEnrollmentsPayload(results=[EnrollmentResult.of(each) for each in done])


def _keys(ids: list[strawberry.ID]) -> list[int | None]:
    return [key("enr", id_) for id_ in ids]
