/** Opens and closes ports of this machine to the sandboxes that its person holds elsewhere. */

import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { admits, Failure } from "../../core/index.ts";
import { Box, BoxParams, BoxPort, BoxPortParams, BoxPortRequest, BoxPublished, PublishRequest } from "../contract.ts";
import type { Boxes } from "./boxes.ts";
import type { WaysIn } from "./ways-in.ts";

export interface PortRoutesDeps {
  readonly boxes: Pick<Boxes, "find" | "show" | "publish" | "unpublish">;
  readonly ways: Pick<WaysIn, "openPort" | "closePort" | "of">;
}

const config = { admits: admits.owner };
/** A number, and a path of at most 1 KiB. */
const SMALL_BODY = 8_192;

export function serveBoxPorts({ boxes, ways }: PortRoutesDeps): FastifyPluginAsync {
  return async (app) => {
    servePublished(app, boxes);
    app.post<{ Params: BoxParams; Body: BoxPortRequest }>(
      "/v1/boxes/:box/ports",
      {
        config,
        bodyLimit: SMALL_BODY,
        schema: { params: BoxParams, body: BoxPortRequest, response: { 200: BoxPort } },
      },
      (request) => ways.openPort(boxes.find(request.params.box).id, request.body, request.signal),
    );
    app.delete<{ Params: BoxPortParams }>(
      "/v1/boxes/:box/ports/:port",
      { config, schema: { params: BoxPortParams, response: { 200: Box } } },
      async (request) => {
        const { box, port } = request.params;
        const { id } = boxes.find(box);
        if (!ways.of(id).some(({ internal }) => internal === port)) {
          throw new Failure("not-found", `port ${port} of "${box}" is not open here`, {
            hint: "`p2prc port ls` shows those that are",
          });
        }
        await ways.closePort(id, port);
        return await boxes.show(box, request.signal);
      },
    );
  };
}

function servePublished(app: FastifyInstance, boxes: PortRoutesDeps["boxes"]): void {
  app.post<{ Params: BoxParams; Body: PublishRequest }>(
    "/v1/boxes/:box/publish",
    {
      config,
      bodyLimit: SMALL_BODY,
      schema: { params: BoxParams, body: PublishRequest, response: { 200: BoxPublished } },
    },
    (request) => boxes.publish(request.params.box, request.body, request.signal),
  );
  app.delete<{ Params: BoxPortParams }>(
    "/v1/boxes/:box/publish/:port",
    { config, schema: { params: BoxPortParams, response: { 200: Box } } },
    (request) => boxes.unpublish(request.params.box, request.params.port, request.signal),
  );
}
