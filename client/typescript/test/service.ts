import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What a service was asked. */
export interface Asked {
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  body: string;
}

/** A service that answers as told and remembers what it was asked. */
export interface Service {
  url: string;
  asked: Asked[];
  close(): Promise<void>;
}

/** Starts a service; answer gets the number of the request, from 1. */
export async function service(answer: (n: number, response: ServerResponse) => void): Promise<Service> {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) {
      body += String(chunk);
    }
    asked.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body });
    answer(asked.length, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

export function created(response: ServerResponse): void {
  json(response, 201, { id: "mch_01JD8Y3K5T7W9ABCDEFGHJKMNP" });
}

export function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json", "x-request-id": "req-1" });
  response.end(JSON.stringify(body));
}

export function problem(response: ServerResponse, status: number, code: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/problem+json", "x-request-id": "req-1", ...headers });
  response.end(JSON.stringify({ type: "t", title: "t", status, code, detail: "d", field: "reference", limit: "debit.day_count" }));
}

export function breakOff(response: ServerResponse): void {
  response.socket?.destroy();
}
