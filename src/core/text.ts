/**
 * Text from strangers, made fit for a terminal.
 *
 * Control characters move the cursor, right-to-left and zero-width ones make a name look like
 * another (CVE-2021-42574), so neither is ever shown or kept.
 */

/** C0 and C1 controls, other formatting (bidi marks, zero-width, soft hyphen), lone surrogates, private use, line and paragraph separators. */
const UNFIT = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u;
const ALL_UNFIT = new RegExp(UNFIT.source, "gu");

export function isCleanText(text: string): boolean {
  return !UNFIT.test(text) && text.normalize("NFC") === text;
}

/** The text without what is not fit to show, at most `maxLength` characters. */
export function cleanText(text: string, maxLength: number): string {
  return Array.from(text.normalize("NFC").replace(ALL_UNFIT, "")).slice(0, maxLength).join("").normalize("NFC").trim();
}
