// The links of all creators of a campaign, as CSV. No library: `fetch`, and types generated from
// the operations by graphql-codegen (docs/partners.md says how).
//
//   TRACKLINKS_KEY=tl_… node link-set.js https://go.brand.example cmp_… [--complete] [--patience=120]
//
// `--complete` first gives creators the links that they lack; that takes a key of the role MANAGER.
import {
  GenerateMissingLinksDocument,
  PartnerLinkSetDocument,
  PartnerLinksOfCreatorDocument,
  type PartnerLinkSetQuery,
  type PartnerLinksOfCreatorQuery,
  type TypedDocumentString,
} from "./generated/graphql.js";

type Answer<Data> = { data?: Data | null; errors?: { message: string }[] };
type UserError = { message: string };
type Creator = NonNullable<PartnerLinkSetQuery["creators"]>["nodes"][number];
type Link = Creator["trackingLinks"]["nodes"][number];

/** The server understood and said no: a sentence to show to a person. */
class Refused extends Error {}

const TIMEOUT_MS = 30_000;
const wait = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** The graph, asked with a key. Waits when the key has asked too much, `patience` seconds at most. */
class Tracklinks {
  constructor(
    private readonly url: string,
    private readonly key: string,
    private readonly patience: number,
  ) {}

  /** The data of an answer. Throws `Refused` for errors, whatever their kind. */
  async ask<Data, Variables>(
    operation: TypedDocumentString<Data, Variables>,
    variables: Variables,
  ): Promise<Data> {
    const deadline = Date.now() + this.patience * 1000;
    for (;;) {
      const response = await fetch(new URL("/graphql", this.url), {
        method: "POST",
        headers: {
          authorization: `Bearer ${this.key}`,
          "content-type": "application/json",
          accept: "application/graphql-response+json",
        },
        body: JSON.stringify({ query: operation.toString(), variables }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (response.status === 429) {
        const seconds = Number(response.headers.get("retry-after") ?? 1);
        if (Date.now() + seconds * 1000 > deadline)
          throw new Refused(`Asked too much: the server wants us to wait for ${seconds} s.`);
        await response.body?.cancel();
        await wait(seconds);
        continue;
      }
      if (!response.headers.get("content-type")?.includes("json"))
        throw new Refused(`${response.status} ${response.statusText}`); // a proxy's page
      const answer = (await response.json()) as Answer<Data>;
      if (answer.errors) throw new Refused(answer.errors.map((each) => each.message).join("; "));
      if (!answer.data) throw new Refused(`${response.status} ${response.statusText}`);
      return answer.data;
    }
  }
}

/** Throws `Refused` for a mutation's `userErrors`. */
function check(payload: { userErrors: UserError[] } | null | undefined): void {
  if (payload?.userErrors.length)
    throw new Refused(payload.userErrors.map((each) => each.message).join("; "));
}

/** Each creator of the campaign with each of their links in it. */
async function* links(graph: Tracklinks, campaignId: string): AsyncGenerator<[Creator, Link]> {
  let after: string | null = null;
  do {
    const { creators }: PartnerLinkSetQuery = await graph.ask(PartnerLinkSetDocument, {
      campaignId,
      after,
    });
    for (const creator of creators?.nodes ?? []) {
      let page: Creator["trackingLinks"] | undefined = creator.trackingLinks;
      while (page) {
        for (const link of page.nodes) yield [creator, link];
        if (!page.pageInfo.hasNextPage) break;
        const more: PartnerLinksOfCreatorQuery = await graph.ask(PartnerLinksOfCreatorDocument, {
          creatorId: creator.id,
          campaignId,
          after: page.pageInfo.endCursor,
        });
        page = more.creator?.trackingLinks;
      }
    }
    after = creators?.pageInfo.hasNextPage ? creators.pageInfo.endCursor : null;
  } while (after !== null);
}

const cell = (value: unknown) => {
  const text = String(value ?? "");
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

const [url, campaignId, ...options] = process.argv.slice(2);
if (!url || !campaignId) {
  console.error("usage: link-set.js URL CAMPAIGN [--complete] [--patience=SECONDS]");
  process.exit(2);
}
const patience = Number(options.find((each) => each.startsWith("--patience="))?.slice(11) ?? 120);
const graph = new Tracklinks(url, process.env["TRACKLINKS_KEY"] ?? "", patience);
try {
  if (options.includes("--complete"))
    check((await graph.ask(GenerateMissingLinksDocument, { campaignId })).generateMissingLinks);
  console.log("creator,external id,link,short URL,clicks,unique clicks");
  for await (const [creator, link] of links(graph, campaignId)) {
    const name = link.campaignLink?.name ?? link.labels.join("+");
    const { clicks, uniqueClicks } = link.stats;
    const row = [creator.handle, creator.externalId, name, link.shortUrl, clicks, uniqueClicks];
    console.log(row.map(cell).join(","));
  }
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
