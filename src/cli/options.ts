/** From the text of an option to its value. */

import { Failure } from "../core/light.ts";

export function wholeNumber(flag: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new Failure("bad-argument", `${flag} takes a whole number from ${min} to ${max}, not "${text.slice(0, 40)}"`);
  };
}
