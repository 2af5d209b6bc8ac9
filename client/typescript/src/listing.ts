/** One page of a list. */
export interface Page<Item = unknown> {
  data: Item[];
  next_cursor: string | null;
}

/**
 * A list that is asked for page by page: await it for one page, iterate it for everything.
 *
 *     const page = await api.listPayments({ limit: 20 });
 *     for await (const payment of api.listPayments({ status: "succeeded" })) { … }
 *
 * Nothing is sent before that. The next page is asked for when the one before is used up; what is created meanwhile
 * does not shift the pages.
 */
export class Listing<P extends Page> implements PromiseLike<P>, AsyncIterable<P["data"][number]> {
  readonly #page: (cursor: string | undefined) => Promise<P>;
  #first: Promise<P> | undefined;

  /** page fetches one page; undefined means the one that the list begins with. */
  constructor(page: (cursor: string | undefined) => Promise<P>) {
    this.#page = page;
  }

  /** The first page; the same one however often it is awaited. */
  then<A = P, B = never>(
    fulfilled?: ((page: P) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#first ??= this.#page(undefined);
    return this.#first.then(fulfilled, rejected);
  }

  /** Every item of every page. */
  async *[Symbol.asyncIterator](): AsyncGenerator<P["data"][number], void, undefined> {
    for await (const page of this.pages()) {
      for (const item of page.data) {
        yield item as P["data"][number];
      }
    }
  }

  /** Every page. */
  async *pages(): AsyncGenerator<P, void, undefined> {
    let cursor: string | undefined;
    for (;;) {
      const page = await this.#page(cursor);
      yield page;
      if (page.next_cursor === null) {
        return;
      }
      cursor = page.next_cursor;
    }
  }
}
