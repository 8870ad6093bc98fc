"""What changes creators: making and editing them, putting them away, forgetting who they are."""

from dataclasses import replace
from typing import Any

import strawberry

from app.auth import Permission
from app.resolvers import creators
from app.resolvers.change import Change
from app.schema.creators import Creator
from app.schema.mutations import UserError, given, key, mutation, outcome, user_errors


@strawberry.input(description="A creator to be made.")
class NewCreatorInput:
    handle: str = strawberry.field(
        description="The public handle, unique in the program. A leading `@` is dropped."
    )
    display_name: str = strawberry.field(description="The name shown to people.")
    first_name: strawberry.Maybe[str | None] = strawberry.field(description="The first name.")
    last_name: strawberry.Maybe[str | None] = strawberry.field(description="The last name.")
    email: strawberry.Maybe[str | None] = strawberry.field(
        description="The address that messages go to."
    )
    external_id: strawberry.Maybe[str | None] = strawberry.field(
        description="The caller's own key, unique in the program."
    )

    def values(self) -> dict[str, Any]:
        return {
            "handle": self.handle,
            "display_name": self.display_name,
            **given(self, but=("program_id", "handle", "display_name")),
        }


@strawberry.input(description="What `createCreator` takes.")
class CreateCreatorInput(NewCreatorInput):
    program_id: strawberry.ID = strawberry.field(description="The program.")


@strawberry.input(description="What `createCreators` takes.")
class CreateCreatorsInput:
    program_id: strawberry.ID = strawberry.field(description="The program.")
    creators: list[NewCreatorInput] = strawberry.field(description="The creators, 1,000 at most.")


@strawberry.type(description="What came of making one creator.")
class CreatorResult:
    creator: Creator | None = strawberry.field(
        description="The new creator, or null if there are errors."
    )
    user_errors: list[UserError] = strawberry.field(
        description="Why the creator was not made. Empty on success."
    )


@strawberry.type(description="What `createCreators` answers.")
class CreateCreatorsPayload:
    results: list[CreatorResult] = strawberry.field(
        default_factory=list,
        description="One result for each, in the order given. One failure does not undo the "
        "others. Empty if there are errors.",
    )
    user_errors: list[UserError] = user_errors()


@strawberry.type(description="What `createCreator` answers.")
class CreateCreatorPayload:
    creator: Creator | None = outcome("The new creator, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.input(
    description="What `updateCreator` takes. What is left out stays; null clears what may be empty."
)
class UpdateCreatorInput:
    id: strawberry.ID = strawberry.field(description="The creator to change.")
    handle: strawberry.Maybe[str] = strawberry.field(description="A new handle.")
    display_name: strawberry.Maybe[str] = strawberry.field(description="A new name.")
    first_name: strawberry.Maybe[str | None] = strawberry.field(description="A new first name.")
    last_name: strawberry.Maybe[str | None] = strawberry.field(description="A new last name.")
    email: strawberry.Maybe[str | None] = strawberry.field(
        description="A new address. A key that is limited to some campaigns gives one only to "
        "creators who are in no others."
    )
    external_id: strawberry.Maybe[str | None] = strawberry.field(description="A new key.")


@strawberry.type(description="What `updateCreator` answers.")
class UpdateCreatorPayload:
    creator: Creator | None = outcome("The creator as they are now, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `archiveCreator` takes.")
class ArchiveCreatorInput:
    id: strawberry.ID = strawberry.field(description="The creator to archive.")


@strawberry.type(description="What `archiveCreator` answers.")
class ArchiveCreatorPayload:
    creator: Creator | None = outcome("The creator as they are now, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `eraseCreator` takes.")
class EraseCreatorInput:
    id: strawberry.ID = strawberry.field(description="The creator to forget.")


@strawberry.type(description="What `eraseCreator` answers.")
class EraseCreatorPayload:
    creator: Creator | None = outcome("What is left of them, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `revokeManagerLink` takes.")
class RevokeManagerLinkInput:
    creator_id: strawberry.ID = strawberry.field(description="Whose addresses to revoke.")


@strawberry.type(description="What `revokeManagerLink` answers.")
class RevokeManagerLinkPayload:
    creator: Creator | None = outcome(
        "The creator, with the new address of their page, or null if there are errors."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.type
class CreatorMutation:
    @mutation("Create a creator.")
    async def create_creator(
        self, change: Change, input: CreateCreatorInput
    ) -> CreateCreatorPayload:
        creator = await creators.create(change, key("prg", input.program_id), input.values())
        return CreateCreatorPayload(creator=Creator.of(creator))

    @mutation("Create many creators at once, each on its own.", cost=100)
    async def create_creators(
        self, change: Change, input: CreateCreatorsInput
    ) -> CreateCreatorsPayload:
        done = await creators.create_each(
            change, key("prg", input.program_id), [each.values() for each in input.creators]
        )
        results = []
        for place, each in enumerate(done):
            at = ("creators", str(place))
            faults = [replace(fault, path=(*at, *(fault.path or ()))) for fault in each.faults]
            results.append(
                CreatorResult(
                    creator=None if each.creator is None else Creator.of(each.creator),
                    user_errors=[UserError.of(fault) for fault in faults],
                )
            )
        return CreateCreatorsPayload(results=results)

    @mutation("Change a creator.")
    async def update_creator(
        self, change: Change, input: UpdateCreatorInput
    ) -> UpdateCreatorPayload:
        creator = await creators.update(change, key("crt", input.id), given(input))
        return UpdateCreatorPayload(creator=Creator.of(creator))

    @mutation(
        "Forget a creator's name, handle, addresses and keys, and what messages said to them, for "
        "good. Their links go on working and their numbers stay. Again, it changes nothing.",
        needs=Permission.ADMINISTER,
    )
    async def erase_creator(self, change: Change, input: EraseCreatorInput) -> EraseCreatorPayload:
        creator = await creators.erase(change, key("crt", input.id))
        return EraseCreatorPayload(creator=Creator.of(creator))

    @mutation("Archive a creator. Their links go on working. Again, it changes nothing.")
    async def archive_creator(
        self, change: Change, input: ArchiveCreatorInput
    ) -> ArchiveCreatorPayload:
        creator = await creators.archive(change, key("crt", input.id))
        return ArchiveCreatorPayload(creator=Creator.of(creator))

    @mutation(
        "Stop every address of the creator's Campaign Manager page that is out, at once. The page "
        "has a new one from then on."
    )
    async def revoke_manager_link(
        self, change: Change, input: RevokeManagerLinkInput
    ) -> RevokeManagerLinkPayload:
        creator = await creators.revoke_manager_link(change, key("crt", input.creator_id))
        return RevokeManagerLinkPayload(creator=Creator.of(creator))
