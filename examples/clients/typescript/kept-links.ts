// The live links of a campaign in a file, with how far we have read.
//
// The file has a line for each page that came, so wherever we are cut, it is good up to its last
// whole line, and the next run goes on from there.
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

import { Refused } from "./tracklinks.js";

/** Creator, external ID, link, short URL, destination URL. */
export type Row = string[];

/** The creators after the first cursor are yet to be read, the changes after the second. */
export type Place = {
  is_complete: boolean;
  creators_after: string | null;
  changes_after: string | null;
};

/** What a page brought: null for a link that is gone. */
export type Found = Record<string, Row | null>;

type Page = Place & { campaign: string; rows: Found };

const BEGINNING: Place = { is_complete: false, creators_after: null, changes_after: null };

export class KeptLinks {
  place = BEGINNING;
  readonly rows = new Map<string, Row>();

  constructor(
    private readonly path: string,
    readonly campaign: string,
  ) {
    for (const [number, line] of lines(path).entries()) {
      const page = parsed(line);
      if (!page) {
        if (number === 0) throw new Refused(`${path} is not a file of kept links.`);
        break; // cut while it was written: it is read again
      }
      if (page.campaign !== campaign)
        throw new Refused(`${path} keeps the links of another campaign, ${page.campaign}.`);
      this.apply(page);
    }
    this.writeAnew();
  }

  /** Keep what a page brought, and where to go on after it. */
  take(rows: Found, place: Partial<Place>): void {
    const page = { campaign: this.campaign, ...this.place, ...place, rows };
    appendFileSync(this.path, JSON.stringify(page) + "\n");
    this.apply(page);
  }

  forget(): void {
    this.place = BEGINNING;
    this.rows.clear();
    this.writeAnew();
  }

  private apply({ campaign: _, rows, ...place }: Page): void {
    this.place = place;
    for (const [key, row] of Object.entries(rows)) {
      if (row) this.rows.set(key, row);
      else this.rows.delete(key);
    }
  }

  /** All in one line, in one step: there is always a file, and always a whole first line. */
  private writeAnew(): void {
    const rows = Object.fromEntries(this.rows);
    const page = { campaign: this.campaign, ...this.place, rows };
    writeFileSync(`${this.path}.new`, JSON.stringify(page) + "\n");
    renameSync(`${this.path}.new`, this.path);
  }
}

function lines(path: string): string[] {
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  return text ? text.replace(/\n$/, "").split("\n") : [];
}

function parsed(line: string): Page | null {
  try {
    const page: unknown = JSON.parse(line);
    return page && typeof page === "object" && "campaign" in page ? (page as Page) : null;
  } catch {
    return null;
  }
}
