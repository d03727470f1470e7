/** The versions of what nodes say to each other that this one speaks: its own, and its neighbours'. */
export const PROTOCOLS: readonly number[] = [1];
