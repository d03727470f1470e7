/** table: the IP table: records, hops, exchange with others, liveness, names. */
export {
  IdentifyReply,
  NodeRow,
  NodesReply,
  RemoveReply,
  UpdateProgress,
  UpdateResult,
} from "./contract.ts";
export { answerTable, hearAnnouncement } from "./answer.ts";
export { Asker, type AskerCounts } from "./asker.ts";
export type { TableQuestion, TableReply } from "./contract.ts";
export { Exchange } from "./exchange.ts";
export { NodeTable } from "./node-table.ts";
export { Outbound } from "./outbound.ts";
export { ProbeRation } from "./probe-ration.ts";
export type { Learned, Source } from "./record-intake.ts";
export type { Measures, Relation, Row, RowChange } from "./row.ts";
export { Visitor } from "./visitor.ts";
export { IpTable, type IpTableDeps, type IpTableOptions } from "./ip-table.ts";
export { serveTable, type ServeTableDeps } from "./serve.ts";
export { openMulticast } from "./multicast.ts";
