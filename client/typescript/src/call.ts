import { SuanpanError } from "./errors.js";
import type { operations } from "./schema.gen.js";

/** What every call takes. */
export interface CallOptions {
  /** Ends the call; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** How long one try may take, in milliseconds, instead of the client's. */
  timeoutMs?: number | undefined;
  /** How long tries are repeated, in milliseconds, instead of the client's. */
  patienceMs?: number | undefined;
  /** Is told of the answer, for logs: when it came, under which number, at which try. */
  onAnswer?: ((answer: AnswerInfo) => void) | undefined;
}

/** What a POST takes besides. */
export interface PostOptions extends CallOptions {
  /**
   * The key under which the service does this once, 8 to 255 printable ASCII characters. Without one the client
   * makes one and repeats under it. A program that may die before it has the answer makes the key itself and
   * stores it first, so that it can ask again.
   */
  idempotencyKey?: string | undefined;
}

/** What is known about an answer besides its body. */
export interface AnswerInfo {
  /** The HTTP status. */
  status: number;
  /** Finds the request in the service's log. */
  requestId: string;
  /** Whether the answer was stored for an earlier request with the same key. */
  replayed: boolean;
  /** How many tries it took. */
  tries: number;
}

/** One operation and what is sent with it. */
export interface Call {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  query?: object;
  body?: object;
}

/** The query of an operation, by its id in the contract. */
export type Query<Operation extends keyof operations> = operations[Operation]["parameters"] extends {
  query?: infer Q;
}
  ? NonNullable<Q>
  : never;

/** The body of an operation, by its id in the contract. */
export type Body<Operation extends keyof operations> = operations[Operation] extends {
  requestBody?: { content: { "application/json": infer B } };
}
  ? B
  : never;

/** One part of a path. An empty id or dots would lead to another operation. */
export function segment(id: string): string {
  if (typeof id !== "string" || id === "" || id === "." || id === "..") {
    throw new SuanpanError({ code: "id_invalid", detail: `"${id}" is not an id`, outcome: "not_sent" });
  }
  return encodeURIComponent(id);
}

/** The query as text, with a question mark; empty without parameters. */
export function queryText(query: object | undefined): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null) {
      parameters.append(name, String(value));
    }
  }
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}
