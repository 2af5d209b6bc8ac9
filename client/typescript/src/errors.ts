/**
 * What is known about a request that did not succeed:
 * - `not_sent`: the client refused it; the service never saw it.
 * - `refused`: the service refused it and did nothing.
 * - `unknown`: it may have been done. Ask again under the same idempotency key, or look with a GET.
 */
export type Outcome = "not_sent" | "refused" | "unknown";

/** What a SuanpanError is made of. */
export interface ErrorParts {
  outcome: Outcome;
  code: string;
  detail: string;
  status?: number | undefined;
  field?: string | undefined;
  limit?: string | undefined;
  requestId?: string | undefined;
  idempotencyKey?: string | undefined;
  retryAfterMs?: number | undefined;
  cause?: unknown;
}

/** A request that did not succeed, or a webhook that is not genuine. */
export class SuanpanError extends Error {
  /** Whether it may have been done nevertheless. */
  readonly outcome: Outcome;
  /**
   * Stable; decide by it. The codes of the service are in its reference; the client's own are `no_answer` (nobody
   * answered within its patience), `not_an_answer` (something else answered, such as a proxy), `number_not_integer`,
   * `number_too_large`, `id_invalid`, `option_invalid` and `webhook_…`.
   */
  readonly code: string;
  /** For people: what is wrong and the way out. */
  readonly detail: string;
  /** The HTTP status; undefined when there was no answer. */
  readonly status: number | undefined;
  /** The field, parameter or header at fault, as in `legs[0].basis_points`. */
  readonly field: string | undefined;
  /** With `limit_exceeded`, the limit that refuses. */
  readonly limit: string | undefined;
  /** Finds the request in the service's log. */
  readonly requestId: string | undefined;
  /** The key of a POST; send it again to ask what became of an `unknown` one. */
  readonly idempotencyKey: string | undefined;
  /** How long the service asks to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(parts: ErrorParts) {
    const status = parts.status === undefined ? "" : `${parts.status} `;
    const field = parts.field === undefined ? "" : ` (field ${parts.field})`;
    super(`suanpan: ${status}${parts.code}: ${parts.detail}${field}`, { cause: parts.cause });
    this.name = "SuanpanError";
    this.outcome = parts.outcome;
    this.code = parts.code;
    this.detail = parts.detail;
    this.status = parts.status;
    this.field = parts.field;
    this.limit = parts.limit;
    this.requestId = parts.requestId;
    this.idempotencyKey = parts.idempotencyKey;
    this.retryAfterMs = parts.retryAfterMs;
  }
}

/** Reports whether error is a SuanpanError with this code. */
export function isCode(error: unknown, code: string): error is SuanpanError {
  return error instanceof SuanpanError && error.code === code;
}
