/** What became of asking the routers for ports. */

export const methods = ["PCP", "NAT-PMP", "UPnP"] as const;
export type Method = (typeof methods)[number];

export interface MappedPorts {
  readonly method: Method;
  /** The router that was asked. */
  readonly gateway: string;
  /** Where connections to the own TCP port come in. Another one than here where a program had that already. */
  readonly tcp: number;
  /** The first of the UDP ports, all of which are mapped to themselves. Undefined: the router gave none. */
  readonly udp: number | undefined;
  /** The address that the router says it has outside. It may lie, or be behind another NAT. */
  readonly external: string | undefined;
}

export type MappingState =
  /** The person does not want it. */
  | { readonly kind: "off" }
  /** Nothing is lent, so nothing listens. */
  | { readonly kind: "idle" }
  | { readonly kind: "asking" }
  /** Nobody could be asked, or nobody did it; why. */
  | { readonly kind: "failed"; readonly why: string; readonly isRefusal: boolean }
  | { readonly kind: "mapped"; readonly ports: MappedPorts };

export interface Mapped {
  readonly four: MappingState;
  /** IPv6 addresses of this machine for which the router lets connections in, as it says. */
  readonly pinholes: readonly string[];
}

export const unmapped: Mapped = { four: { kind: "idle" }, pinholes: [] };
