import { systemClock } from "../base/index.ts";
import { carrierContract } from "../../test/contract/carrier.ts";
import { MemoryInternet } from "../../test/lab/memory/memory-internet.ts";
import { TcpCarrier } from "./tcp-carrier.ts";

carrierContract("TLS over TCP", () => ({
  carrier: (identity) => new TcpCarrier({ identity, clock: systemClock, isTrusted: () => true }),
  reach: ({ port }) => ({ host: "127.0.0.1", port }),
}));

carrierContract("the internet in memory", () => {
  const internet = new MemoryInternet();
  let host = 0;
  return { carrier: ({ id }) => internet.carrier(id, `10.0.0.${++host}`), reach: (endpoint) => endpoint };
});
