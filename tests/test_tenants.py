"""No key sees or changes anything of another program; no role does what is not its business.

DESIGN
------
The cases are few, the matrix is generated from them and from the schema. A case is how a field
is used, with a `Kind` wherever it takes an ID or another text that finds something. Each such
place is filled in turn with another program's, with one of the wrong type, and with one that
does not exist: the three answers must be the same, and no row may change. So that no case is
refused for a reason of its own, each must work with one's own.

**A new field needs one line in `CASES`**; so does every new argument or input field that takes
an ID. A new type that `Query.node` finds needs a `Kind` and one of it in `Tenant.of`.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
)
from sqlmodel import SQLModel, select

from app.auth import Permission, Viewer
from app.ids import encode, new_id, split
from app.models import Role
from app.schema import published
from app.settings import Settings
from tests.selling import Shop
from tests.world import DESTINATION, World, codes

GRAPH: GraphQLSchema = build_schema(published())


class Kind(NamedTuple):
    """Stands in a case for a text that finds something. A `type` is one of the graph's nodes."""

    name: str
    absent: str
    type: str | None = None


def _id(prefix: str, type_: str) -> Kind:
    return Kind(prefix, encode(prefix, new_id()), type_)


PRG, CMP, CML = _id("prg", "Program"), _id("cmp", "Campaign"), _id("cml", "CampaignLink")
CRT, ENR, LNK = _id("crt", "Creator"), _id("enr", "Enrollment"), _id("lnk", "TrackingLink")
STC, KEY = _id("stc", "StageChange"), _id("key", "ApiKey")
SHR = _id("shr", "ReportShare")
HANDLE, EXTERNAL_ID = Kind("handle", "nobody"), Kind("externalId", "crm-0")
CODE = Kind("code", "nosuchcode")
TPL, MSG, AUD = _id("mtp", "MessageTemplate"), _id("msg", "Message"), _id("aud", "AuditEntry")
CNV, CPN = _id("cnv", "Conversion"), _id("cpn", "CreatorCoupon")
SEC = _id("sec", "ConversionSecret")
NODES = (PRG, CMP, CML, CRT, ENR, LNK, STC, KEY, TPL, MSG, CNV, CPN, SEC, AUD, SHR)
KINDS = (*NODES, HANDLE, EXTERNAL_ID, CODE)


class Case(NamedTuple):
    """Who may use a field, and the ways to use it."""

    needs: Permission | None
    ways: tuple[Mapping[str, Any], ...]


def case(needs: Permission | None, *ways: Mapping[str, Any]) -> Case:
    return Case(needs, ways or ({},))


def change(needs: Permission, *inputs: Mapping[str, Any]) -> Case:
    return Case(needs, tuple({"input": each} for each in inputs))


ALL, LINKS, MANAGE = None, Permission.READ_LINKS, Permission.MANAGE
ADMINISTER, INSTALL = Permission.ADMINISTER, Permission.INSTALL
READ, PERSONAL, REPORT = Permission.READ, Permission.READ_PERSONAL, Permission.REPORT_CONVERSIONS
LINK_FILTERS = (
    {"filter": {"creatorIds": [CRT], "archived": "ALL"}},
    {"filter": {"campaignIds": [CMP], "archived": "ALL"}},
    {"filter": {"campaignLinkIds": [CML], "archived": "ALL"}},
)
ENROLLMENT_FILTERS = ({"filter": {"creatorIds": [CRT]}}, {"filter": {"campaignIds": [CMP]}})
NEW = {"handle": "new", "displayName": "New"}
TO_SHOP = {"destinationUrl": DESTINATION}
TEXT = {"subject": "News", "body": "Hello {{ first_name | there }}"}
ORDER = "order-1"
CONTENTS = ({"templateId": TPL}, {"oneOff": {"campaignId": CMP, **TEXT}})
BACK = {"amount": "1.00", "reason": "Returned"}

# In the order in which they work one after the other: what archives comes last.
CASES: dict[str, Case] = {
    "Query.viewer": case(ALL),
    "Query.program": case(LINKS, {"id": PRG}),
    "Query.programs": case(LINKS),
    "Query.campaign": case(LINKS, {"id": CMP}),
    "Query.campaigns": case(LINKS, {"filter": {"programIds": [PRG]}}),
    "Query.campaignLink": case(LINKS, {"id": CML}),
    "Query.creator": case(
        LINKS, {"by": {"id": CRT}}, {"by": {"handle": HANDLE}}, {"by": {"externalId": EXTERNAL_ID}}
    ),
    "Query.creators": case(
        LINKS, {"filter": {"campaignIds": [CMP]}}, {"filter": {"externalIds": [EXTERNAL_ID]}}
    ),
    "Query.enrollment": case(LINKS, {"id": ENR}),
    "Query.trackingLink": case(LINKS, {"by": {"id": LNK}}, {"by": {"code": CODE}}),
    "Query.trackingLinks": case(LINKS, *LINK_FILTERS),
    "Query.trackingLinkChanges": case(
        LINKS, {"filter": {"creatorIds": [CRT]}}, {"filter": {"campaignIds": [CMP]}}
    ),
    "Query.messageTemplate": case(READ, {"id": TPL}),
    "Query.previewMessage": case(
        PERSONAL, *({"input": {"content": each, "enrollmentIds": [ENR]}} for each in CONTENTS)
    ),
    "Query.archivePreview": case(READ, {"id": LNK}, {"id": CML}),
    "Query.conversion": case(READ, {"id": CNV}),
    "Query.conversions": case(READ, {"filter": {"programIds": [PRG]}}),
    "Query.creatorExport": case(ADMINISTER, {"id": CRT}),
    "Query.auditLog": case(
        ADMINISTER, {"filter": {"subjectId": LNK}}, {"filter": {"keyIds": [KEY]}}
    ),
    "Query.apiKeys": case(ADMINISTER),
    "Query.node": case(LINKS, *({"id": kind} for kind in NODES)),
    "Query.nodes": case(LINKS, {"ids": list(NODES)}),
    "Program.campaigns": case(LINKS, {"filter": {"programIds": [PRG]}}),
    "Campaign.enrollments": case(LINKS, *ENROLLMENT_FILTERS),
    "Campaign.trackingLinks": case(LINKS, *LINK_FILTERS),
    "CampaignLink.trackingLinks": case(LINKS, *LINK_FILTERS),
    "Creator.enrollments": case(LINKS, *ENROLLMENT_FILTERS),
    "Creator.trackingLinks": case(LINKS, *LINK_FILTERS),
    "Enrollment.trackingLinks": case(LINKS, *LINK_FILTERS),
    "Mutation.createProgram": change(INSTALL, {"name": "Brand"}),
    "Mutation.updateProgram": change(ADMINISTER, {"id": PRG, "name": "Brand"}),
    "Mutation.createCampaign": change(MANAGE, {"programId": PRG, "name": "Spring"}),
    "Mutation.updateCampaign": change(MANAGE, {"id": CMP, "name": "Summer"}),
    "Mutation.launchCampaign": change(MANAGE, {"id": CMP}),
    "Mutation.pauseCampaign": change(MANAGE, {"id": CMP}),
    "Mutation.createCampaignLink": change(MANAGE, {"campaignId": CMP, "name": "App", **TO_SHOP}),
    "Mutation.updateCampaignLink": change(MANAGE, {"id": CML, "name": "Shop"}),
    "Mutation.generateMissingLinks": change(
        MANAGE, {"campaignId": CMP}, {"campaignLinkId": CML}, {"enrollmentId": ENR}
    ),
    "Mutation.createCreator": change(MANAGE, {"programId": PRG, **NEW}),
    "Mutation.createCreators": change(MANAGE, {"programId": PRG, "creators": [NEW | {"handle": "b"}]}),
    "Mutation.updateCreator": change(MANAGE, {"id": CRT, "displayName": "Ana"}),
    "Mutation.enrollCreators": change(MANAGE, {"campaignId": CMP, "creatorIds": [CRT]}),
    "Mutation.createMessageTemplate": change(MANAGE, {"campaignId": CMP, "name": "New", **TEXT}),
    "Mutation.updateMessageTemplate": change(MANAGE, {"id": TPL, "name": "Hello"}),
    "Mutation.sendMessage": change(
        MANAGE,
        *(
            {"content": each, "enrollmentIds": [ENR], "idempotencyKey": f"send-{number}"}
            for number, each in enumerate(CONTENTS)
        ),
    ),
    "Mutation.archiveMessageTemplate": change(MANAGE, {"id": TPL}),
    "Mutation.revokeManagerLink": change(MANAGE, {"creatorId": CRT}),
    "Mutation.updateConversionSettings": change(ADMINISTER, {"programId": PRG, "windowDays": 7}),
    "Mutation.createConversionSecret": change(ADMINISTER, {"programId": PRG, "name": "Till"}),
    "Mutation.conversionSelfTest": change(MANAGE, {"programId": PRG}),
    "Mutation.createCoupon": change(MANAGE, {"trackingLinkId": LNK, "code": "BEN10"}),
    "Mutation.recordConversion": change(REPORT, {"programId": PRG, "orderId": "order-2"}),
    "Mutation.creditConversion": change(MANAGE, {"id": CNV, "trackingLinkId": LNK}),
    "Mutation.refundConversion": change(
        REPORT,
        {"conversion": {"id": CNV}, "idempotencyKey": "refund-1", **BACK},
        {
            "conversion": {"order": {"programId": PRG, "orderId": ORDER}},
            "idempotencyKey": "refund-2",
            **BACK,
        },
    ),
    "Mutation.correctConversion": change(
        REPORT, {"id": CNV, "amount": "9.00", "reason": "Typo", "idempotencyKey": "correct-1"}
    ),
    "Mutation.archiveCoupon": change(MANAGE, {"id": CPN}),
    "Mutation.revokeConversionSecret": change(ADMINISTER, {"id": SEC}),
    "Mutation.promoteEnrollments": change(MANAGE, {"enrollmentIds": [ENR]}),
    "Mutation.moveEnrollments": change(MANAGE, {"enrollmentIds": [ENR], "stage": "DRAFT"}),
    "Mutation.dropEnrollments": change(MANAGE, {"enrollmentIds": [ENR]}),
    "Mutation.createTrackingLink": change(MANAGE, {"enrollmentId": ENR, **TO_SHOP}),
    "Mutation.updateTrackingLink": change(MANAGE, {"id": LNK, "labels": ["story"]}),
    "Mutation.archiveTrackingLink": change(MANAGE, {"id": LNK}),
    "Mutation.replaceTrackingLink": change(MANAGE, {"id": LNK}),
    "Mutation.createReportShare": change(
        MANAGE, {"campaignId": CMP, "name": "Agency"}, {"programId": PRG, "name": "Agency"}
    ),
    "Mutation.revokeReportShare": change(MANAGE, {"id": SHR}),
    "Mutation.createApiKey": change(
        ADMINISTER, {"name": "Agency", "role": "PARTNER", "programId": PRG, "campaignIds": [CMP]}
    ),
    "Mutation.rotateApiKey": change(ADMINISTER, {"id": KEY, "overlapMinutes": 60}),
    "Mutation.revokeApiKey": change(ADMINISTER, {"id": KEY}),
    "Mutation.archiveCampaignLink": change(MANAGE, {"id": CML}),
    "Mutation.archiveCampaign": change(MANAGE, {"id": CMP}),
    "Mutation.restoreCampaign": change(MANAGE, {"id": CMP}),
    "Mutation.archiveCreator": change(MANAGE, {"id": CRT}),
    "Mutation.eraseCreator": change(ADMINISTER, {"id": CRT}),
    "Subscription.clickCounts": case(
        LINKS,
        {"scope": {"programId": PRG}},
        {"scope": {"campaignId": CMP}},
        {"scope": {"campaignLinkId": CML}},
        {"scope": {"trackingLinkId": LNK}},
    ),
}  # fmt: skip
ROOTS = ("Query", "Mutation", "Subscription")
# A send is kept under its key with what came of each recipient, so that no two are alike in rows
# and answers: it has a test of its own.
APART = ("Mutation.sendMessage", "input.enrollmentIds")


@dataclass(frozen=True)
class Tenant:
    """A program with one of everything, and a key that may do all in it."""

    key: str
    has: Mapping[str, str]

    @classmethod
    def of(cls, world: World, operator: str, word: str) -> "Tenant":
        """Equal to every other in all that two programs may have alike."""
        program = world.a_program(name="Brand")
        made = world.do(
            "createApiKey", "text", key=operator, name="Brand", role="ADMIN", programId=program
        )
        text = str(made["text"])
        world.key, world.program_id = text, program
        campaign = world.a_campaign(name="Summer")
        world.do("launchCampaign", "campaign { id }", id=campaign)
        ana = world.a_creator(handle="ana", externalId="crm-1", email="ana@brand.example")
        ben = world.a_creator(handle=f"only-{word}", externalId=f"crm-{word}")
        enrollment, _ = world.enroll(campaign, [ana, ben])
        campaign_link = world.a_campaign_link(campaign, name="Shop")
        world.promote(enrollment)
        link = world.a_link(enrollment, labels=["story"])
        world.click(link["code"])
        other_key = world.do(
            "createApiKey", "apiKey { id }", name="Agency", role="PARTNER", programId=program
        )
        share = world.do(
            "createReportShare", "reportShare { id }", campaignId=campaign, name="Agency"
        )
        changes = world.ask(
            "query($id: ID!) { enrollment(id: $id) { stageChanges { nodes { id } } } }",
            id=enrollment,
        )["enrollment"]["stageChanges"]["nodes"]
        template = world.a_template(campaign, TEXT["body"])
        world.message(template, enrollment, key="first")
        (message, *_) = world.messages_of(enrollment)
        shop = Shop(world)
        coupon = world.do("createCoupon", "coupon { id }", trackingLinkId=link["id"], code="ANA10")[
            "coupon"
        ]
        sale = shop.sell(orderId=ORDER, value={"amount": "20.00", "currencyCode": "EUR"})
        entry = world.ask("{ auditLog(first: 1) { nodes { id } } }")["auditLog"]["nodes"][0]
        world.key = operator
        return cls(
            key=text,
            has={
                PRG.name: program,
                CMP.name: campaign,
                CML.name: campaign_link["id"],
                CRT.name: ana,
                ENR.name: enrollment,
                LNK.name: link["id"],
                STC.name: changes[0]["id"],
                KEY.name: other_key["apiKey"]["id"],
                TPL.name: template,
                MSG.name: message["id"],
                CNV.name: sale["id"],
                CPN.name: coupon["id"],
                SEC.name: shop.secret_id,
                AUD.name: entry["id"],
                SHR.name: share["reportShare"]["id"],
                HANDLE.name: f"only-{word}",
                EXTERNAL_ID.name: f"crm-{word}",
                CODE.name: link["code"],
            },
        )


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A matrix is many requests. The self-test looks for the server at home and finds none."""
    return settings.model_copy(
        update={
            "graphql_requests_per_minute": 10**6,
            "graphql_cost_per_minute": 10**9,
            "base_url": "http://127.0.0.1:1",
        }
    )


@pytest.fixture
def ours(world: World, operator_key: str) -> Tenant:
    world.key = operator_key
    return Tenant.of(world, operator_key, "ours")


@pytest.fixture
def theirs(world: World, operator_key: str, ours: Tenant) -> Tenant:
    return Tenant.of(world, operator_key, "theirs")


# The table against the schema.


def test_every_root_field_has_a_case() -> None:
    fields = {f"{root}.{name}" for root in ROOTS for name in _object(root).fields}
    assert fields - set(CASES) == set(), "add a line to CASES"
    assert {name for name in CASES if name.split(".")[0] in ROOTS} - fields == set()


def test_every_place_that_takes_an_id_is_tried() -> None:
    untried = []
    for name, type_ in GRAPH.type_map.items():
        if not isinstance(type_, GraphQLObjectType) or name.startswith("__"):
            continue
        for field_name, field in type_.fields.items():
            coordinate = f"{name}.{field_name}"
            ways = CASES[coordinate].ways if coordinate in CASES else ()
            tried = {place for way in ways for place, _ in _kinds(way)}
            untried += [
                f"{coordinate}({place})" for place in _id_places(field) if place not in tried
            ]
    assert untried == []


def test_every_type_of_node_is_tried() -> None:
    node = GRAPH.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    possible = {each.name for each in GRAPH.get_possible_types(node)}
    assert {kind.type for kind in NODES} == possible


def _object(name: str) -> GraphQLObjectType:
    type_ = GRAPH.type_map[name]
    assert isinstance(type_, GraphQLObjectType)
    return type_


def _id_places(field: GraphQLField) -> Iterator[str]:
    """`filter.creatorIds` and so on: the paths of a field's arguments that take IDs."""

    def within(name: str, value: GraphQLArgument | GraphQLInputField) -> Iterator[str]:
        type_ = get_named_type(value.type)
        if type_.name == "ID":
            yield name
        elif isinstance(type_, GraphQLInputObjectType):
            for key, each in type_.fields.items():
                yield from within(f"{name}.{key}", each)

    for name, argument in field.args.items():
        yield from within(name, argument)


def _kinds(value: Any, path: str = "") -> Iterator[tuple[str, Kind]]:
    """The places of a case that name something, a list's items under the list's own path."""
    if isinstance(value, Kind):
        yield path, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _kinds(each, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for each in value:
            yield from _kinds(each, path)


# From a case to requests.


def _filled(value: Any, with_: Mapping[str, str]) -> Any:
    """The way with each `Kind` replaced."""
    if isinstance(value, Kind):
        return with_[value.name]
    if isinstance(value, Mapping):
        return {key: _filled(each, with_) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, with_) for each in value]
    return value


def _use(coordinate: str, way: Mapping[str, Any], tenant: Tenant, **instead: str) -> dict[str, Any]:
    """The request that uses a field with the tenant's own, but for what is given `instead`."""
    type_name, name = coordinate.split(".")
    field = _object(type_name).fields[name]
    values = _filled(way, {**tenant.has, **instead})
    declared = ", ".join(f"${key}: {field.args[key].type}" for key in values)
    given = ", ".join(f"{key}: ${key}" for key in values)
    use = f"{name}{f'({given})' if given else ''} {_selection(field)}"
    if type_name not in ROOTS:
        parent = next(kind for kind in NODES if kind.type == type_name)
        use = f'node(id: "{tenant.has[parent.name]}") {{ ... on {type_name} {{ {use} }} }}'
    operation = type_name.lower() if type_name in ROOTS else "query"
    query = f"{operation}{f'({declared})' if declared else ''} {{ {use} }}"
    return {"query": query, **values}


def _selection(field: GraphQLField, depth: int = 2) -> str:
    """Everything that the field leads to without arguments, so many objects deep."""
    type_ = get_named_type(field.type)
    if isinstance(type_, GraphQLInterfaceType):
        return "{ __typename id }"
    if not isinstance(type_, GraphQLObjectType):
        return ""
    chosen = []
    for name, each in type_.fields.items():
        is_leaf = not isinstance(
            get_named_type(each.type), GraphQLObjectType | GraphQLInterfaceType
        )
        if is_leaf:
            chosen.append(name)
        elif depth > 0 and name not in {"edges", "stats"} and not each.args:
            chosen.append(f"{name} {_selection(each, depth - 1)}")
    return f"{{ {' '.join(chosen) or '__typename'} }}"


USES = [
    (name, way)
    for name, each in CASES.items()
    for way in each.ways
    if not name.startswith("Subscription")
]


# Another program's.


def test_what_is_anothers_is_answered_like_what_does_not_exist(
    world: World, ours: Tenant, theirs: Tenant
) -> None:
    for coordinate, way in USES:
        if CASES[coordinate].needs is INSTALL:
            continue
        for place, kind in _kinds(way):
            if (coordinate, place) == APART:
                continue
            before = rows(world)
            absent = _answer(world, _use(coordinate, way, ours, **{kind.name: kind.absent}), ours)
            if coordinate.startswith("Mutation"):
                refused = codes(list(_user_errors(absent[1]["data"])))
                assert refused == ["NOT_FOUND"], coordinate
            for instead in _disguises(kind, theirs):
                request = _use(coordinate, way, ours, **{kind.name: instead})
                said = f"{coordinate}({place}: {instead})"
                assert _answer(world, request, ours) == absent, said
            assert rows(world) == before, coordinate


def test_a_message_to_anothers_creator_is_skipped_like_one_to_nobody(
    world: World, ours: Tenant, theirs: Tenant
) -> None:
    before = rows(world, theirs)
    for number, content in enumerate(CONTENTS):
        way = {"content": content, "enrollmentIds": [ENR]}
        answers: list[tuple[int, Any]] = []
        for instead in (ENR.absent, *_disguises(ENR, theirs)):
            key = f"apart-{number}-{len(answers)}"
            with_key = {"input": way | {"idempotencyKey": key}}
            request = _use("Mutation.sendMessage", with_key, ours, enr=instead)
            answers.append(_answer(world, request, ours))
        (result,) = answers[0][1]["data"]["sendMessage"]["results"]
        assert (result["skipReason"], result["message"]) == ("NOT_FOUND", None)
        assert all(answer == answers[0] for answer in answers)
    assert rows(world, theirs) == before


def test_watching_anothers_ends_at_once_like_watching_nothing(
    world: World, ours: Tenant, theirs: Tenant
) -> None:
    def watch(way: Mapping[str, Any], **instead: str) -> str:
        request = _use("Subscription.clickCounts", way, ours, **instead)
        query = {"query": request.pop("query"), "variables": request}
        headers = {"Authorization": f"Bearer {ours.key}", "Accept": "text/event-stream"}
        return str(world.client.post("/graphql", json=query, headers=headers).text)

    for way in CASES["Subscription.clickCounts"].ways:
        ((place, kind),) = _kinds(way)
        nothing = watch(way, **{kind.name: kind.absent})
        assert "event: complete" in nothing, place
        assert '"data"' not in nothing, place
        for instead in _disguises(kind, theirs):
            assert watch(way, **{kind.name: instead}) == nothing, (place, instead)


def test_every_case_works_with_ones_own_and_shows_nothing_of_anothers(
    world: World, ours: Tenant, theirs: Tenant
) -> None:
    before = rows(world, theirs)
    for coordinate, way in USES:
        if CASES[coordinate].needs is INSTALL:
            continue
        status, answer = _answer(world, _use(coordinate, way, ours), ours)
        said = f"{coordinate} {way}: {answer}"
        assert status == 200, said
        assert "errors" not in answer, said
        assert list(_user_errors(answer["data"])) == [], said
        assert None not in answer["data"].values(), said
        text = json.dumps(answer)
        assert [each for each in theirs.has.values() if f'"{each}"' in text] == [], said
    assert rows(world, theirs) == before


def test_anothers_cursor_leads_nowhere_but_through_ones_own(
    world: World, ours: Tenant, theirs: Tenant
) -> None:
    for name, field in _object("Query").fields.items():
        # What changed a moment ago is not in the list of changes yet.
        if not str(field.type).endswith("Connection") or name == "trackingLinkChanges":
            continue
        query = f"query($after: String) {{ {name}(after: $after) {{ nodes {{ id }} pageInfo {{ endCursor }} }} }}"
        own = {node["id"] for node in world.ask(query, key=ours.key)[name]["nodes"]}
        stolen = world.ask(query, key=theirs.key)[name]["pageInfo"]["endCursor"]
        order, is_descending, value, key = json.loads(base64.urlsafe_b64decode(stolen + "=="))
        forged = json.dumps([order, is_descending, value, key ^ 1]).encode()
        nowhere = base64.urlsafe_b64encode(forged).decode()
        found = world.ask(query, key=ours.key, after=stolen)[name]
        assert found == world.ask(query, key=ours.key, after=nowhere)[name], name
        assert {node["id"] for node in found["nodes"]} <= own, name


# What each role may do.


@pytest.mark.parametrize("role", [*Role, None])
def test_a_role_may_use_what_it_is_allowed_and_reads_forbidden_for_the_rest(
    world: World, operator_key: str, ours: Tenant, role: Role | None
) -> None:
    key, viewer = operator_key, Viewer(Role.ADMIN, program_id=None)
    if role is not None:
        made = world.do("createApiKey", "text", name="Role", role=role, programId=ours.has["prg"])
        key, viewer = made["text"], Viewer(role, program_id=1)
    for coordinate, each in CASES.items():
        type_name, name = coordinate.split(".")
        if type_name not in ("Query", "Mutation") or (
            coordinate == "Mutation.createProgram" and role is None
        ):
            continue
        absent = {kind.name: kind.absent for kind in KINDS}
        request = _use(coordinate, each.ways[0], ours, **absent)
        answer = world.post(key=key, **request).json()
        top_level = [error for error in answer.get("errors", ()) if error.get("path") == [name]]
        refused = [error["extensions"]["code"] for error in top_level]
        is_allowed = each.needs is None or viewer.may(each.needs)
        assert refused == ([] if is_allowed else ["FORBIDDEN"]), (coordinate, answer)
        assert "data" in answer, (coordinate, answer)


# What is compared.


def _answer(world: World, request: dict[str, Any], tenant: Tenant) -> tuple[int, Any]:
    answer = world.post(key=tenant.key, **request)
    return answer.status_code, answer.json()


def _disguises(kind: Kind, theirs: Tenant) -> Iterator[str]:
    """Another program's: as it is, taken for another type, mistyped; and one of another type."""
    text = theirs.has[kind.name]
    yield text
    if kind.type is not None:
        other = NODES[NODES.index(kind) - 1]
        yield from (theirs.has[other.name], f"{other.name}_{text.partition('_')[2]}")
        yield from (text.upper(), f" {text}")


def rows(world: World, of: Tenant | None = None) -> dict[str, list[str]]:
    """The rows of the database, without when a key was last used: all, or those that mention
    something of a tenant."""
    ids = [split(text) for text in of.has.values()] if of is not None else []
    keys = [str(id_[1]) for id_ in ids if id_ is not None]

    async def read() -> dict[str, list[str]]:
        found = {}
        async with world.database.reading() as session:
            connection = await session.connection()
            for table in SQLModel.metadata.sorted_tables:
                columns = [column for column in table.columns if column.name != "last_used_at"]
                texts = [str(tuple(row)) for row in await connection.execute(select(*columns))]
                found[table.name] = sorted(
                    text for text in texts if of is None or any(key in text for key in keys)
                )
        return found

    assert world.client.portal is not None
    return world.client.portal.call(read)


def _user_errors(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _user_errors(each)
    elif isinstance(value, dict):
        yield from value.get("userErrors") or ()
        for each in value.values():
            yield from _user_errors(each)
