"""Programs with one of everything, equal in all that two programs may have alike.

A new type that `Query.node` finds needs a `Kind`, and one of it in `Tenant.of`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from app.ids import encode, new_id
from tests.selling import Shop
from tests.world import World

# A tenant's sale has it, and the cases find the sale by it.
ORDER = "order-1"
# What a tenant's message says.
BODY = "Hello {{ first_name | there }}"


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
        template = world.a_template(campaign, BODY)
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
