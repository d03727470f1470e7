/** table: the IP table: records, hops, exchange with others, liveness, names. */
export {
  AddRequest,
  DEFAULT_HOPS,
  IdentifyReply,
  IdentifyRequest,
  MAX_HOPS,
  NodeParams,
  NodeRow,
  NodesQuery,
  NodesReply,
  RemoveReply,
  RenameRequest,
  UpdateProgress,
  UpdateRequest,
  UpdateResult,
} from "./contract.ts";
