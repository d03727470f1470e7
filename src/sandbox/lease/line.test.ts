import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Line } from "./line.ts";

const { signal } = new AbortController();

describe("a line", () => {
  test("lets in so many of a key, and the next when one leaves", async () => {
    const { order, enter } = new LineLab({ perKey: 2, inAll: 9 });
    const [first] = await Promise.all([enter("ann", 1), enter("ann", 2)]);
    const third = enter("ann", 3);
    const fourth = enter("ann", 4);
    await turn();
    assert.deepEqual(order, [1, 2]);
    first();
    (await third)();
    await fourth;
    assert.deepEqual(order, [1, 2, 3, 4]);
  });

  test("lets others pass those whose key has its share", async () => {
    const { order, enter } = new LineLab({ perKey: 1, inAll: 2 });
    const ann = await enter("ann", 1);
    void enter("ann", 2);
    await enter("bob", 3);
    assert.deepEqual(order, [1, 3]);
    ann();
    await turn();
    assert.deepEqual(order, [1, 3, 2]);
  });

  test("lets in so many of all keys", async () => {
    const { order, enter } = new LineLab({ perKey: 9, inAll: 1 });
    const ann = await enter("ann", 1);
    void enter("bob", 2);
    void enter("cid", 3);
    await turn();
    assert.deepEqual(order, [1]);
    ann();
    await turn();
    assert.deepEqual(order, [1, 2]);
  });

  test("holds no place for who gave up waiting", async () => {
    const { order, enter, line } = new LineLab({ perKey: 1, inAll: 1 });
    const first = await enter("ann", 1);
    const given = new AbortController();
    const second = line.enter("ann", given.signal);
    const third = enter("ann", 3);
    given.abort();
    (await second)();
    await turn();
    assert.deepEqual(order, [1]);
    first();
    await third;
    assert.deepEqual(order, [1, 3]);
    (await line.enter("ann", given.signal))(); // aborted before
  });
});

class LineLab {
  readonly line: Line<string>;
  readonly order: number[] = [];

  constructor(options: ConstructorParameters<typeof Line>[0]) {
    this.line = new Line(options);
  }

  readonly enter = async (key: string, number: number) => {
    const leave = await this.line.enter(key, signal);
    this.order.push(number);
    return leave;
  };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
