/** The version of this program, as in package.json (a test compares them). A constant, since every command needs it at once. */
export const VERSION = "0.1.0";
