/**
 * A sandbox as the first P2PRC printed it: the same names of fields. There is no password any more, so that field is
 * empty; external ports are on this machine's loopback.
 */

import { cleanText } from "../core/light.ts";
import type { Box } from "../sandbox/index.ts";
import { sshCommand } from "./boxes.ts";

export function seedShape(box: Box): object {
  const { sandbox, ports } = box;
  const ssh = ports.find(({ internal }) => internal === 22);
  return {
    SSHUsername: sandbox.user,
    SSHPassword: "",
    SSHCommand: sshCommand(box),
    ID: sandbox.id,
    TagName: sandbox.name,
    ImagePath: cleanText(sandbox.image ?? "", 255),
    Ports: {
      Port: [
        {
          PortName: "SSH",
          InternalPort: 22,
          Type: "tcp",
          ExternalPort: ssh?.local ?? 0,
          IsUsed: true,
          Description: "SSH Port",
        },
        ...ports
          .filter((port) => port !== ssh)
          .map(({ internal, local }) => ({
            PortName: "AutoGen Port",
            InternalPort: internal,
            Type: "tcp",
            ExternalPort: local,
            IsUsed: false,
            Description: "Auto generated TCP port",
          })),
      ],
    },
    GPU: String(sandbox.gpus.length > 0),
  };
}
