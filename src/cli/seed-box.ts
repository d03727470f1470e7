/**
 * A sandbox as the first P2PRC printed it: the same names of fields. There is no password any more, so that field is
 * empty; external ports are on this machine's loopback.
 */

import { cleanText } from "../core/light.ts";
import type { Box } from "../sandbox/index.ts";
import { sshCommand } from "./boxes.ts";

export function seedShape(box: Box): object {
  const { sandbox, ports, sshPort = 0 } = box;
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
          ExternalPort: sshPort,
          IsUsed: true,
          Description: "SSH Port",
        },
        ...ports.map(({ internal, local }) => ({
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
