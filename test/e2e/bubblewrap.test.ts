/** bubblewrap passes the suite of every Runtime, as the user that runs the tests: root on a CI machine, else an ordinary one. */

import { runtimeContract } from "../contract/runtime.ts";
import { bubblewrapSkip, BubblewrapWorld } from "../support/bubblewrap-world.ts";

runtimeContract("bubblewrap", () => BubblewrapWorld.open(), { skip: bubblewrapSkip() });
