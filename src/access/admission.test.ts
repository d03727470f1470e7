import assert from "node:assert/strict";
import { describe, test } from "node:test";
import Fastify, { type FastifyInstance } from "fastify";
import { fakeId } from "../../test/support/fake-link.ts";
import { admits, type Caller, Failure, failureReply, failures, type Role, roles } from "../core/index.ts";
import { accessTable, admitConnect, decide, guardRoutes, nothingHere, type RouteRow } from "./index.ts";

describe("the decision", () => {
  test("admits who is named and refuses everybody else, for every rule and role", () => {
    for (const rule of Object.values(admits)) {
      for (const role of roles)
        assert.equal(
          decide(rule, role) === undefined,
          (rule as readonly Role[]).includes(role),
          `${rule.join()} ${role}`,
        );
    }
  });

  test("hides from others what only the owner may use, and tells of the rest what to do", () => {
    for (const role of ["own", "guest", "stranger", "anonymous"] as const) {
      assert.deepEqual(shown(decide(admits.owner, role)), shown(nothingHere()));
    }
    assert.match(decide(admits.guests, "stranger")?.hint ?? "", /p2prc join/);
    assert.match(decide(admits.nodes, "anonymous")?.message ?? "", /takes a key/);
    assert.match(decide(admits.own, "guest")?.message ?? "", /own nodes/);
    assert.equal(decide([], "local")?.code, "not-found");
  });
});

describe("a CONNECT target", () => {
  const targets = [
    { kind: "port", admits: admits.guests },
    { kind: "node", admits: admits.own },
  ];

  test("is found by its kind and passes the same decision", () => {
    assert.deepEqual(admitConnect(targets, "port:box/8080", "guest"), { row: targets[0], rest: "box/8080" });
    assert.deepEqual(admitConnect(targets, "node:a:b", "own"), { row: targets[1], rest: "a:b" });
    assert.throws(() => admitConnect(targets, "port:box/8080", "stranger"), { code: "not-allowed" });
    assert.throws(() => admitConnect(targets, "node:x", "guest"), { code: "not-allowed" });
  });

  test("of an unknown kind is not there, for anybody", () => {
    for (const target of ["", ":", "port", "ssh:box", "example.org:443", "PORT:box/1", " port:x"]) {
      assert.throws(() => admitConnect(targets, target, "local"), { code: "not-found" }, target);
    }
  });
});

describe("guarded routes", () => {
  test("answer each role by their rule, and set caller and role for the handler", async () => {
    await using lab = await Lab.open();
    const answers: Record<string, (number | undefined)[]> = {};
    for (const path of ["/owner", "/guests", "/everyone", "/none"]) {
      answers[path] = [];
      for (const role of roles) answers[path].push(await lab.status(path, role));
    }
    assert.deepEqual(answers, {
      "/owner": [200, 404, 404, 404, 404],
      "/guests": [200, 200, 200, 403, 403],
      "/everyone": [200, 200, 200, 200, 200],
      "/none": [404, 404, 404, 404, 404],
    });
    assert.deepEqual(
      lab.seen,
      roles.filter((role) => role === "local" || role === "own" || role === "guest"),
    );
  });

  test("answer alike where nothing is and where nothing is for the caller", async () => {
    await using lab = await Lab.open();
    lab.role = "stranger";
    const [hidden, missing] = await Promise.all(["/owner", "/none"].map((url) => lab.app.inject({ url })));
    assert.deepEqual([hidden?.statusCode, hidden?.body], [missing?.statusCode, missing?.body]);
  });

  test("refuse before the body is read", async () => {
    await using lab = await Lab.open();
    lab.role = "stranger";
    const reply = await lab.app.inject({
      method: "POST",
      url: "/guests",
      headers: { "content-type": "application/json" },
      payload: "{broken",
    });
    assert.equal(reply.statusCode, 403);
    lab.role = "guest";
    assert.equal(
      (
        await lab.app.inject({
          method: "POST",
          url: "/guests",
          headers: { "content-type": "application/json" },
          payload: "{broken",
        })
      ).statusCode,
      400,
    );
  });

  test("do not start without a rule, in whichever plugin they are", async () => {
    for (const config of [undefined, {}, { admits: [] }]) {
      const app = Fastify();
      guard(app, () => "local");
      app.register(
        async (inner) =>
          void inner.register(async (deep) => void deep.get("/new", config === undefined ? {} : { config }, () => "x")),
      );
      await assert.rejects(async () => await app.ready(), /GET \/new does not say whom it admits/);
    }
  });

  test("are listed with every role's answer, tunnels too", async () => {
    await using lab = await Lab.open();
    assert.deepEqual(accessTable(lab.routes(), [{ kind: "port", admits: admits.guests }]), [
      "CONNECT port: local=yes own=yes guest=yes stranger=not-allowed anonymous=not-allowed",
      "GET /everyone local=yes own=yes guest=yes stranger=yes anonymous=yes",
      "GET /guests local=yes own=yes guest=yes stranger=not-allowed anonymous=not-allowed",
      "GET /owner local=yes own=not-found guest=not-found stranger=not-found anonymous=not-found",
      "POST /guests local=yes own=yes guest=yes stranger=not-allowed anonymous=not-allowed",
    ]);
  });
});

function shown(failure: Failure | undefined): unknown {
  return failure === undefined ? undefined : failureReply(failure);
}

function guard(app: FastifyInstance, role: () => Role): () => readonly RouteRow[] {
  const callers: Record<Role, Caller> = {
    local: { kind: "local" },
    own: { kind: "node", id: fakeId(1), remote: "192.0.2.1:1" },
    guest: { kind: "node", id: fakeId(2), remote: "192.0.2.1:1" },
    stranger: { kind: "node", id: fakeId(3), remote: "192.0.2.1:1" },
    anonymous: { kind: "anonymous", remote: "192.0.2.1:1" },
  };
  return guardRoutes(app, {
    callerOf: () => callers[role()],
    roleOf: (caller) => roles.find((one) => callers[one] === caller) ?? "anonymous",
  });
}

class Lab implements AsyncDisposable {
  readonly app = Fastify();
  readonly routes = guard(this.app, () => this.role);
  /** The roles that the guests' handler saw. */
  readonly seen: Role[] = [];
  role: Role = "local";

  static async open(): Promise<Lab> {
    const lab = new Lab();
    lab.app.get("/owner", { config: { admits: admits.owner } }, () => "x");
    lab.app.get("/everyone", { config: { admits: admits.everyone } }, () => "x");
    lab.app.route({
      method: ["GET", "POST"],
      url: "/guests",
      config: { admits: admits.guests },
      handler: async (request) => {
        lab.seen.push(request.role);
        return request.caller.kind;
      },
    });
    lab.app.setNotFoundHandler(() => {
      throw nothingHere();
    });
    lab.app.setErrorHandler((error, _request, reply) =>
      reply
        .status(
          error instanceof Failure
            ? failures[error.code].status
            : ((error as { statusCode?: number }).statusCode ?? 500),
        )
        .send(failureReply(error)),
    );
    await lab.app.ready();
    return lab;
  }

  async status(url: string, role: Role): Promise<number> {
    this.role = role;
    return (await this.app.inject({ url })).statusCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app.close();
  }
}
