"""How each field of the graph is used: one line for each that takes an ID, and for each operation."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
)

from app.auth import Permission
from app.schema import published
from tests.tenants import (
    BODY,
    CML,
    CMP,
    CNV,
    CODE,
    CPN,
    CRT,
    ENR,
    EXTERNAL_ID,
    HANDLE,
    KEY,
    LNK,
    NODES,
    ORDER,
    PRG,
    SEC,
    SHR,
    TPL,
    Kind,
    Tenant,
)
from tests.world import DESTINATION

GRAPH: GraphQLSchema = build_schema(published())


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
TEXT = {"subject": "News", "body": BODY}
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
    "Query.conversions": case(
        READ,
        {"filter": {"programIds": [PRG]}},
        {"filter": {"campaignIds": [CMP]}},
        {"filter": {"trackingLinkIds": [LNK]}},
    ),
    "Query.creatorExport": case(ADMINISTER, {"id": CRT}),
    "Query.auditLog": case(
        ADMINISTER, {"filter": {"subjectId": LNK}}, {"filter": {"keyIds": [KEY]}}
    ),
    "Query.apiKeys": case(ADMINISTER),
    "Query.blockedHosts": case(INSTALL),
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
    "Mutation.blockHost": change(INSTALL, {"host": "bad.example"}),
    "Mutation.unblockHost": change(INSTALL, {"host": "bad.example"}),
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


def object_type(name: str) -> GraphQLObjectType:
    type_ = GRAPH.type_map[name]
    assert isinstance(type_, GraphQLObjectType)
    return type_


def kinds_in(value: Any, path: str = "") -> Iterator[tuple[str, Kind]]:
    """The places of a case that name something, a list's items under the list's own path."""
    if isinstance(value, Kind):
        yield path, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from kinds_in(each, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for each in value:
            yield from kinds_in(each, path)


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


def use(coordinate: str, way: Mapping[str, Any], tenant: Tenant, **instead: str) -> dict[str, Any]:
    """The request that uses a field with the tenant's own, but for what is given `instead`."""
    type_name, name = coordinate.split(".")
    field = object_type(type_name).fields[name]
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
