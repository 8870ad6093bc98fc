// The graph, asked over `fetch` with a key.
import type { TypedDocumentString } from "./generated/graphql.js";

type UserError = { message: string; path?: readonly string[] | null };
type GraphError = { message: string; extensions?: { userErrors?: UserError[] } };
type Answer<Data> = { data?: Data | null; errors?: GraphError[] };

/** What we asked for was not to be had: a sentence to show to a person. */
export class Refused extends Error {}

/** The server does not take the place from which we wanted to go on. */
export class RefusedCursor extends Refused {}

const TIMEOUT_MS = 30_000;
const wait = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Waits when the key has asked too much, `patience` seconds at most. */
export class Tracklinks {
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
      const response = await this.post({ query: operation.toString(), variables });
      if (response.status === 429) {
        // A proxy may answer with a date in place of seconds: then we choose.
        const seconds = Number(response.headers.get("retry-after") ?? 1) || 1;
        if (Date.now() + seconds * 1000 > deadline)
          throw new Refused(`Asked too much: the server wants us to wait for ${seconds} s.`);
        await response.body?.cancel();
        await wait(seconds);
        continue;
      }
      if (!response.headers.get("content-type")?.includes("json"))
        throw new Refused(`${response.status} ${response.statusText}`); // a proxy's page
      const answer = await this.read<Answer<Data>>(response);
      if (answer.errors) {
        const said = answer.errors.map((each) => each.message).join("; ");
        throw isAboutCursor(answer.errors) ? new RefusedCursor(said) : new Refused(said);
      }
      if (!answer.data) throw new Refused(`${response.status} ${response.statusText}`);
      return answer.data;
    }
  }

  private async post(request: { query: string; variables: unknown }): Promise<Response> {
    try {
      return await fetch(new URL("/graphql", this.url), {
        method: "POST",
        headers: {
          authorization: `Bearer ${this.key}`,
          "content-type": "application/json",
          accept: "application/graphql-response+json",
        },
        body: JSON.stringify(request),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (error) {
      throw this.unanswered(error);
    }
  }

  private async read<Body>(response: Response): Promise<Body> {
    try {
      return (await response.json()) as Body;
    } catch (error) {
      throw this.unanswered(error);
    }
  }

  private unanswered(error: unknown): Refused {
    const { message, cause } = error as Error;
    return new Refused(`No answer from ${this.url}: ${cause instanceof Error ? cause.message : message}`);
  }
}

function isAboutCursor(errors: GraphError[]): boolean {
  const faults = errors.flatMap((each) => each.extensions?.userErrors ?? []);
  return faults.some(({ path }) => path?.join(".") === "after");
}

/** Throws `Refused` for a mutation's `userErrors`. */
export function check(payload: { userErrors: UserError[] } | null | undefined): void {
  if (payload?.userErrors.length)
    throw new Refused(payload.userErrors.map((each) => each.message).join("; "));
}
