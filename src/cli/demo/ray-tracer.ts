/**
 * A small scene, and who draws a strip of it: some spheres over a chequered floor, in a sky.
 *
 * The functions go into a sandbox as their own source (`rayTracer`), so they use each other and `scene`, and nothing else.
 */

type Vector = readonly [number, number, number];

interface Sphere {
  readonly center: Vector;
  readonly radius: number;
  readonly color: Vector;
  /** How much of what it shows is a reflection. */
  readonly mirror: number;
}

interface Hit {
  readonly distance: number;
  /** Undefined: the floor. */
  readonly sphere: Sphere | undefined;
}

export const scene: {
  readonly width: number;
  readonly height: number;
  readonly strips: number;
  readonly sun: Vector;
  readonly spheres: readonly Sphere[];
} = {
  width: 640,
  height: 360,
  strips: 12,
  sun: [0.48, 0.64, -0.6],
  spheres: [
    { center: [0, 0, 5], radius: 1, color: [0.9, 0.3, 0.25], mirror: 0.35 },
    { center: [-2.2, -0.3, 6], radius: 0.7, color: [0.25, 0.55, 0.9], mirror: 0.5 },
    { center: [1.9, -0.45, 4.2], radius: 0.55, color: [0.95, 0.8, 0.3], mirror: 0.2 },
    { center: [0.9, 1.1, 8], radius: 2.1, color: [0.6, 0.62, 0.66], mirror: 0.75 },
    { center: [-0.9, -0.7, 3.4], radius: 0.3, color: [0.35, 0.75, 0.45], mirror: 0.3 },
  ],
};

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** `a`, and so much of `b`. */
function along(a: Vector, b: Vector, times: number): Vector {
  return [a[0] + b[0] * times, a[1] + b[1] * times, a[2] + b[2] * times];
}

function unit(a: Vector): Vector {
  return along([0, 0, 0], a, 1 / Math.sqrt(dot(a, a)));
}

function distanceTo({ center, radius }: Sphere, from: Vector, ray: Vector): number {
  const way = along(from, center, -1);
  const half = dot(way, ray);
  const square = half * half - dot(way, way) + radius * radius;
  const distance = square < 0 ? -1 : -half - Math.sqrt(square);
  return distance > 1e-4 ? distance : Infinity;
}

/** What a ray meets first. */
function firstHit(from: Vector, ray: Vector): Hit {
  const floor = (-1 - from[1]) / ray[1];
  let hit: Hit = { distance: floor > 1e-4 ? floor : Infinity, sphere: undefined };
  for (const sphere of scene.spheres) {
    const distance = distanceTo(sphere, from, ray);
    if (distance < hit.distance) hit = { distance, sphere };
  }
  return hit;
}

/** What is seen along a ray. */
function lightAlong(from: Vector, ray: Vector, bounces: number): Vector {
  const { distance, sphere } = firstHit(from, ray);
  if (distance === Infinity) return along([0.85, 0.9, 0.97], [-0.5, -0.35, -0.12], Math.max(0, ray[1]));
  const point = along(from, ray, distance);
  const normal: Vector = sphere === undefined ? [0, 1, 0] : unit(along(point, sphere.center, -1));
  const light = (Math.floor(point[0]) + Math.floor(point[2])) % 2 === 0;
  const color: Vector = sphere?.color ?? (light ? [0.92, 0.9, 0.86] : [0.28, 0.3, 0.36]);
  const lit = firstHit(along(point, normal, 1e-3), scene.sun).distance === Infinity;
  const own = along([0, 0, 0], color, 0.25 + (lit ? 0.75 * Math.max(0, dot(normal, scene.sun)) : 0));
  const mirror = bounces === 0 ? 0 : (sphere?.mirror ?? 0.12);
  if (mirror === 0) return own;
  const back = unit(along(ray, normal, -2 * dot(ray, normal)));
  return along(along([0, 0, 0], own, 1 - mirror), lightAlong(along(point, normal, 1e-3), back, bounces - 1), mirror);
}

/** Rows of a strip, three bytes for each point; each is the mean of four rays. */
function drawStrip(strip: number): Uint8Array {
  const { width, height, strips } = scene;
  const rows = height / strips;
  const bytes = new Uint8Array(3 * width * rows);
  for (let at = 0; at < width * rows; at++) {
    const [x, y] = [at % width, strip * rows + Math.floor(at / width)];
    let sum: Vector = [0, 0, 0];
    for (const [right, down] of [
      [0.25, 0.25],
      [0.75, 0.25],
      [0.25, 0.75],
      [0.75, 0.75],
    ] as const) {
      const ray = unit([(x + right - width / 2) / height, (height / 2 - y - down) / height + 0.02, 1.1]);
      sum = along(sum, lightAlong([0, 0.25, 0], ray, 3), 0.25);
    }
    for (const color of [0, 1, 2] as const) bytes[3 * at + color] = Math.round(255 * Math.min(1, sum[color]) ** 0.8);
  }
  return bytes;
}

const parts = [dot, along, unit, distanceTo, firstHit, lightAlong, drawStrip];

/** A program: `node ray-tracer.js STRIP OUT`, with strips from 1. */
export function rayTracer(): string {
  return [
    `const scene = ${JSON.stringify(scene)};`,
    ...parts.map(String),
    "const [strip, out] = process.argv.slice(2);",
    'require("node:fs").writeFileSync(out, drawStrip(Number(strip) - 1));',
    "",
  ].join("\n");
}
