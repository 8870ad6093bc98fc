// The links of all creators of a campaign, as CSV. No library: `fetch`, and types generated from
// the operations by graphql-codegen (docs/partners.md says how).
//
//   TRACKLINKS_KEY=tl_… node link-set.js https://go.brand.example cmp_… [--keep=FILE]
//     [--complete] [--patience=120]
//
// `--keep` keeps them in a file, and asks next time only for what has changed. `--complete` first
// gives creators the links that they lack; that takes a key of the role MANAGER.
import {
  GenerateMissingLinksDocument,
  PartnerLinkChangesDocument,
  PartnerLinkSetDocument,
  PartnerLinksOfCreatorDocument,
  type PartnerLinkChangesQuery,
  type PartnerLinkSetQuery,
  type PartnerLinksOfCreatorQuery,
} from "./generated/graphql.js";
import { KeptLinks, type Found, type Row } from "./kept-links.js";
import { Refused, RefusedCursor, Tracklinks, check } from "./tracklinks.js";

type Creator = NonNullable<PartnerLinkSetQuery["creators"]>["nodes"][number];
type Link = Creator["trackingLinks"]["nodes"][number];
type Named = Pick<Link, "shortUrl" | "labels" | "campaignLink">;

const COLUMNS = ["creator", "external id", "link", "short URL"];

/** What stands in `COLUMNS`. */
const row = (creator: Pick<Creator, "handle" | "externalId">, link: Named): Row => [
  creator.handle,
  creator.externalId ?? "",
  link.campaignLink?.name ?? link.labels.join("+"),
  link.shortUrl,
];

/** Each creator of the campaign with each of their links in it. */
async function* links(graph: Tracklinks, campaignId: string): AsyncGenerator<[Creator, Link]> {
  let after: string | null = null;
  do {
    const { creators }: PartnerLinkSetQuery = await graph.ask(PartnerLinkSetDocument, {
      campaignId,
      after,
    });
    yield* linksOf(graph, campaignId, creators?.nodes ?? []);
    after = creators?.pageInfo.hasNextPage ? creators.pageInfo.endCursor : null;
  } while (after !== null);
}

/** Each of these creators with each of their links, those too that did not come along. */
async function* linksOf(
  graph: Tracklinks,
  campaignId: string,
  creators: Creator[],
): AsyncGenerator<[Creator, Link]> {
  for (const creator of creators) {
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
}

/** Bring the kept links up to date, from wherever they are. */
async function catchUp(graph: Tracklinks, kept: KeptLinks): Promise<void> {
  try {
    await readOn(graph, kept);
  } catch (error) {
    if (!(error instanceof RefusedCursor)) throw error;
    kept.forget(); // a backup's, or another version's: from the beginning, once
    await readOn(graph, kept);
  }
}

async function readOn(graph: Tracklinks, kept: KeptLinks): Promise<void> {
  const campaignId = kept.campaign;
  while (!kept.place.is_complete) {
    const { creators_after: after, changes_after } = kept.place;
    const page: PartnerLinkSetQuery = await graph.ask(PartnerLinkSetDocument, { campaignId, after });
    const found: Found = {};
    for await (const [creator, link] of linksOf(graph, campaignId, page.creators?.nodes ?? []))
      found[link.id] = [...row(creator, link), link.destinationUrl];
    kept.take(found, {
      is_complete: !page.creators?.pageInfo.hasNextPage,
      creators_after: page.creators?.pageInfo.endCursor ?? null,
      // From before the first link was read. Later pages would say one that is too late.
      changes_after:
        after === null ? (page.trackingLinkChanges?.pageInfo.endCursor ?? null) : changes_after,
    });
  }
  let isMore = true;
  while (isMore) {
    const after = kept.place.changes_after;
    const { trackingLinkChanges: changes }: PartnerLinkChangesQuery = await graph.ask(
      PartnerLinkChangesDocument,
      { campaignId, after },
    );
    const found: Found = {};
    for (const link of changes?.nodes ?? [])
      found[link.id] = link.archivedAt ? null : [...row(link.creator, link), link.destinationUrl];
    kept.take(found, { changes_after: changes?.pageInfo.endCursor ?? after });
    isMore = changes?.pageInfo.hasNextPage ?? false;
  }
}

const cell = (value: unknown) => {
  const text = String(value ?? "");
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
const print = (cells: unknown[]) => console.log(cells.map(cell).join(","));

const [url, campaignId, ...options] = process.argv.slice(2);
if (!url || !campaignId) {
  console.error("usage: link-set.js URL CAMPAIGN [--keep=FILE] [--complete] [--patience=SECONDS]");
  process.exit(2);
}
const option = (name: string) =>
  options.find((each) => each.startsWith(`--${name}=`))?.slice(name.length + 3);
const patience = Number(option("patience") ?? 120);
const graph = new Tracklinks(url, process.env["TRACKLINKS_KEY"] ?? "", patience);
try {
  if (options.includes("--complete"))
    check((await graph.ask(GenerateMissingLinksDocument, { campaignId })).generateMissingLinks);
  const file = option("keep");
  if (file) {
    const kept = new KeptLinks(file, campaignId);
    await catchUp(graph, kept);
    print([...COLUMNS, "destination URL"]);
    [...kept.rows.values()].sort().forEach(print);
  } else {
    print([...COLUMNS, "clicks", "unique clicks"]);
    for await (const [creator, link] of links(graph, campaignId))
      print([...row(creator, link), link.stats.clicks, link.stats.uniqueClicks]);
  }
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
