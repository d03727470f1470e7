import { after } from "node:test";
import { carrierContract } from "../../../test/contract/carrier.ts";
import { PunchWorld } from "../../../test/support/punch-carrier.ts";

const world = new PunchWorld();
after(() => world[Symbol.asyncDispose]());

carrierContract("punching", () => ({ carrier: (identity) => world.carrier(identity), reach: (endpoint) => endpoint }));
