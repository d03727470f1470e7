/** The default name of a node: two friendly words, so that nobody's host name or own name gets out by accident. */

import { type Random, randomBelow } from "../base/index.ts";

/** 64 each: 4,096 pairs are plenty among friends, and names need not be unique. */
export const FIRST_WORDS =
  `amber apple autumn azure bold brave breezy bright brisk calm cedar clever cloudy copper coral cosy
  crisp curly daring dusty eager early easy fair fancy fern fluffy gentle giant glad golden grand happy hazel honey humble
  indigo ivory jolly keen kind lemon light lively lucky maple merry mild misty noble olive patient plain proud quick quiet
  rapid ruby rustic silver sunny tidy vivid warm`.split(/\s+/);

export const SECOND_WORDS =
  `acorn anchor badger barley beacon beaver birch bison breeze brook canyon cello cloud comet crane creek
  daisy delta dove dune falcon finch forest fox garden glacier harbor hare heron hill island kettle kite lake lantern lark
  lily lynx marble meadow mill moose moss oak orchard otter owl pebble pine plum pond poppy quartz raven reef river robin
  sparrow spruce stone thistle tulip valley willow`.split(/\s+/);

export function twoWords(random: Random): string {
  const pick = (words: readonly string[]) => words[randomBelow(random, words.length)] ?? "";
  return `${pick(FIRST_WORDS)}-${pick(SECOND_WORDS)}`;
}
