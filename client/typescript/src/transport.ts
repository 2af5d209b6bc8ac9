import type { CallOptions } from "./call.js";
import type { SuanpanOptions } from "./client.js";
import { SuanpanError } from "./errors.js";
import type { Signer } from "./signature.js";

/** One request as it goes over the wire, but for the instance that it goes to. */
export interface Exchange {
  method: string;
  /** Path and query. */
  path: string;
  accept: string;
  body?: Uint8Array<ArrayBuffer>;
  idempotencyKey?: string;
}

const defaultPatienceMs = 30_000;
const defaultTimeoutMs = 30_000;
const firstPauseMs = 100;
const longestPauseMs = 5_000;
const maxAnswerBytes = 8 << 20;
const codeSignatureReplayed = "signature_replayed";

/**
 * Sends a request until it is answered. That is safe: a GET changes nothing, a POST bears its idempotency key and so
 * acts once, a PATCH says what is to be, and a DELETE that was carried out unheard answers 404 the second time.
 */
export class Transport {
  readonly #key: string;
  readonly #bases: URL[];
  readonly #patienceMs: number;
  readonly #timeoutMs: number;
  readonly #signer: Signer | undefined;
  readonly #fetch: typeof fetch;
  #turn = 0;

  constructor(options: SuanpanOptions) {
    if (typeof options.key !== "string" || !/^[!-~]+$/.test(options.key)) {
      throw invalid("key", "give a secret API key, sk_…");
    }
    this.#key = options.key;
    this.#bases = basesOf(options.baseUrls);
    this.#patienceMs = duration("patienceMs", options.patienceMs, defaultPatienceMs);
    this.#timeoutMs = duration("timeoutMs", options.timeoutMs, defaultTimeoutMs);
    this.#signer = options.signer;
    const exchange = options.fetch ?? globalThis.fetch;
    this.#fetch = (input, init) => exchange(input, init);
  }

  /**
   * Sends the exchange and has read make something of a success. read may ask for the body as text; what it does not
   * read is left to whom it gives the response.
   */
  async send<T>(
    exchange: Exchange,
    options: CallOptions,
    read: (response: Response, text: () => Promise<string>) => Promise<T>,
  ): Promise<T> {
    const patience = duration("patienceMs", options.patienceMs, this.#patienceMs);
    const deadline = Date.now() + patience;
    let unanswered = false;
    for (let tries = 1, pause = firstPauseMs; ; tries++, pause = Math.min(2 * pause, longestPauseMs)) {
      try {
        return await this.#try(exchange, options, tries, read);
      } catch (error) {
        options.signal?.throwIfAborted();
        const failure = failureOf(error, exchange, unanswered);
        unanswered ||= failure.status === undefined;
        const wait = Math.max(failure.retryAfterMs ?? 0, jitter(pause));
        if (!worthRepeating(failure) || Date.now() + wait > deadline) {
          throw failure;
        }
        await sleep(wait, options.signal);
      }
    }
  }

  /** One try, at the instance whose turn it is. An answer that breaks off is none. */
  async #try<T>(
    exchange: Exchange,
    options: CallOptions,
    tries: number,
    read: (response: Response, text: () => Promise<string>) => Promise<T>,
  ): Promise<T> {
    const timeoutMs = duration("timeoutMs", options.timeoutMs, this.#timeoutMs);
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    const signal = options.signal ? AbortSignal.any([options.signal, timeout.signal]) : timeout.signal;
    try {
      const request = await this.#request(exchange);
      const response = await this.#fetch(request.url, {
        method: exchange.method,
        headers: request.headers,
        body: exchange.body ?? null,
        redirect: "manual",
        signal,
      });
      if (!response.ok) {
        throw await problemOf(response, exchange);
      }
      const answer = await read(response, () => boundedText(response));
      options.onAnswer?.({
        status: response.status,
        requestId: response.headers.get("x-request-id") ?? "",
        replayed: response.headers.get("idempotency-replayed") === "true",
        tries,
      });
      return answer;
    } finally {
      clearTimeout(timer);
    }
  }

  async #request(exchange: Exchange): Promise<{ url: URL; headers: Headers }> {
    const base = this.#bases[this.#turn++ % this.#bases.length] as URL;
    const url = new URL(base.pathname.replace(/\/$/, "") + exchange.path, base);
    const headers = new Headers({ accept: exchange.accept, authorization: `Bearer ${this.#key}` });
    if (exchange.body !== undefined) {
      headers.set("content-type", "application/json");
    }
    if (exchange.idempotencyKey !== undefined) {
      headers.set("idempotency-key", exchange.idempotencyKey);
    }
    await this.#signer?.({ method: exchange.method, url, headers, body: exchange.body });
    return { url, headers };
  }
}

function basesOf(given: string | readonly string[]): URL[] {
  const bases = (typeof given === "string" ? [given] : given).map((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) {
      throw invalid("baseUrls", `"${text}" is not an http(s) URL`);
    }
    return url;
  });
  if (bases.length === 0) {
    throw invalid("baseUrls", "give the address of the API");
  }
  return bases;
}

function duration(name: string, given: number | undefined, otherwise: number): number {
  const ms = given ?? otherwise;
  if (!(ms >= 0 && ms <= 0x7fffffff)) {
    throw invalid(name, "give milliseconds, not negative");
  }
  return ms;
}

function invalid(field: string, detail: string): SuanpanError {
  return new SuanpanError({ outcome: "not_sent", code: "option_invalid", detail, field });
}

/** What went wrong, as a SuanpanError that says whether the request may have been done. */
function failureOf(error: unknown, exchange: Exchange, unansweredBefore: boolean): SuanpanError {
  if (!(error instanceof SuanpanError)) {
    return new SuanpanError({
      outcome: "unknown",
      code: "no_answer",
      detail: `${exchange.method} ${exchange.path} was not answered: ${text(error)}`,
      idempotencyKey: exchange.idempotencyKey,
      cause: error,
    });
  }
  // A key that was revoked between two tries says nothing about the first. A signature that came before was repeated
  // by somebody on the way, fetch or a proxy, and what became of its first coming was not heard.
  if ((unansweredBefore && (error.status === 401 || error.status === 403)) || error.code === codeSignatureReplayed) {
    return new SuanpanError({ ...error, detail: error.detail, outcome: "unknown" });
  }
  return error;
}

function text(error: unknown): string {
  if (error instanceof Error) {
    return error.cause instanceof Error && error.cause.message !== "" ? error.cause.message : error.message;
  }
  return String(error);
}

/** No answer, answers that mean "later", and a signature that was used up: the next try has one of its own. What the
 * client itself refuses stays refused. */
function worthRepeating(failure: SuanpanError): boolean {
  return failure.code === "no_answer" || failure.code === codeSignatureReplayed || isLater(failure.status);
}

function isLater(status: number | undefined): boolean {
  return status !== undefined && (status === 408 || status === 429 || status >= 500);
}

async function problemOf(response: Response, exchange: Exchange): Promise<SuanpanError> {
  const parts = {
    // A redirect that must not be followed has the status 0 in browsers.
    status: response.status,
    outcome: isLater(response.status) ? ("unknown" as const) : ("refused" as const),
    requestId: response.headers.get("x-request-id") ?? undefined,
    idempotencyKey: exchange.idempotencyKey,
    retryAfterMs: retryAfter(response.headers.get("retry-after")),
  };
  try {
    const problem = JSON.parse(await boundedText(response)) as Record<string, unknown>;
    if (typeof problem["code"] === "string" && typeof problem["detail"] === "string") {
      const { code, detail } = problem as { code: string; detail: string };
      return new SuanpanError({ ...parts, code, detail, field: string(problem["field"]), limit: string(problem["limit"]) });
    }
  } catch {
    // No problem of the API's: said below.
  }
  const detail = "the answer is not an answer of the API; is the address right?";
  return new SuanpanError({ ...parts, code: "not_an_answer", detail });
}

function string(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function retryAfter(header: string | null): number | undefined {
  return header !== null && /^\d{1,5}$/.test(header) ? Number(header) * 1000 : undefined;
}

async function boundedText(response: Response): Promise<string> {
  if (response.body === null) {
    return "";
  }
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const reader = response.body.getReader();
  let text = "";
  for (let size = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) {
      return text + decoder.decode();
    }
    size += value.length;
    if (size > maxAnswerBytes) {
      await reader.cancel();
      throw new Error(`the answer is larger than ${maxAnswerBytes} bytes`);
    }
    text += decoder.decode(value, { stream: true });
  }
}

/** ms/2 to ms, so that clients that failed together spread out. */
function jitter(ms: number): number {
  return ms / 2 + (ms / 2) * Math.random();
}

async function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", aborted, { once: true });
    function done(): void {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }
    function aborted(): void {
      clearTimeout(timer);
      reject(signal?.reason);
    }
  });
}
