import { type Call, type CallOptions, type PostOptions, queryText } from "./call.js";
import { SuanpanError } from "./errors.js";
import { requireExact, requireIntegers } from "./integers.js";
import { Listing, type Page } from "./listing.js";
import { Operations } from "./operations.gen.js";
import type { Signer } from "./signature.js";
import { type Exchange, Transport } from "./transport.js";

/** What a client is made of. */
export interface SuanpanOptions {
  /** A secret API key, `sk_…`. It never belongs into a browser. */
  key: string;
  /** The addresses of one or more instances of the same service; a request that one does not answer goes to the next. */
  baseUrls: string | readonly string[];
  /**
   * How long a request that is not answered, or is answered with "later" (408, 429, 5xx), is repeated, in
   * milliseconds: 30,000 unless given. 0 means one try.
   */
  patienceMs?: number;
  /** How long one try may take, in milliseconds: 30,000 unless given. */
  timeoutMs?: number;
  /** Signs every try of every request, for keys that must; see newSigner. */
  signer?: Signer;
  /** Does the exchanges instead of the platform's fetch. */
  fetch?: typeof fetch;
}

/**
 * The client of the Suanpan API. Every operation of the contract is a method; with what a contract cannot say:
 * authentication, an idempotency key for every POST, safe repetition, errors to decide by, lists as iterators. Safe
 * to share.
 *
 *     const api = new Suanpan({ key: process.env.SUANPAN_KEY, baseUrls: "https://pay.example.com" });
 *     const payment = await api.createPayment({ … });
 */
export class Suanpan extends Operations {
  readonly #transport: Transport;

  constructor(options: SuanpanOptions) {
    super();
    this.#transport = new Transport(options);
  }

  protected override async json<T>(call: Call, options: PostOptions = {}): Promise<T> {
    return this.#transport.send(this.#exchange(call, options), options, async (response, text) => {
      if (response.status === 204) {
        return undefined as T;
      }
      const answer: unknown = JSON.parse(await text());
      requireExact(answer);
      return answer as T;
    });
  }

  protected override list<P extends Page>(call: Call, options: CallOptions = {}): Listing<P> {
    return new Listing<P>((cursor) => {
      const query = cursor === undefined ? call.query : { ...call.query, cursor };
      return this.json<P>({ ...call, query: query ?? {} }, options);
    });
  }

  protected override async file(call: Call, options: PostOptions = {}): Promise<Response> {
    return this.#transport.send({ ...this.#exchange(call, options), accept: "*/*" }, options, async (response) => response);
  }

  #exchange(call: Call, options: PostOptions): Exchange {
    requireIntegers(call.body);
    requireIntegers(call.query);
    const exchange: Exchange = { method: call.method, path: call.path + queryText(call.query), accept: "application/json" };
    if (call.body !== undefined) {
      exchange.body = new TextEncoder().encode(JSON.stringify(call.body));
    }
    if (call.method === "POST") {
      exchange.idempotencyKey = idempotencyKey(options.idempotencyKey);
    }
    return exchange;
  }
}

/** A fresh idempotency key: one per intent, kept for its retries. */
export function newIdempotencyKey(): string {
  return crypto.randomUUID();
}

function idempotencyKey(given: string | undefined): string {
  const key = given ?? newIdempotencyKey();
  if (!/^[!-~]{8,255}$/.test(key)) {
    throw new SuanpanError({
      outcome: "not_sent",
      code: "option_invalid",
      detail: "an idempotency key is 8 to 255 printable ASCII characters",
      field: "idempotencyKey",
    });
  }
  return key;
}
