/** A circle that wants a name. */
export interface Spot {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  readonly text: string;
}

/** Where a name goes: the left end of its line of text, and whether it is far enough to need a leader. */
export interface Place {
  readonly x: number;
  readonly y: number;
  readonly far: boolean;
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

const height = 13;
const near = 4;
/** Further away than this, a name had rather lie on a circle. */
const clear = 26;
const steps = [near, 14, 26, 40, 56, 74, 94, 116, 140, 170, 200, 240];
/** Beside the circle first, then above and below. */
const angles = [0, 180, -90, 90, -45, 45, -135, 135, -20, 20, 160, -160].map((degrees) => (degrees * Math.PI) / 180);

/** Places every name near its circle, so that no two names overlap, none leaves the box, and circles stay free where possible. */
export function placeLabels(spots: readonly Spot[], box: Box, letter: number): Place[] {
  const placed: Box[] = [];
  const circles = spots.map(({ x, y, radius: r }): Box => ({ left: x - r, right: x + r, top: y - r, bottom: y + r }));
  // crowded ones choose first
  const crowd = spots.map((a) => spots.filter((b) => Math.hypot(a.x - b.x, a.y - b.y) < 60).length);
  const order = spots.map((_, i) => i).sort((a, b) => crowd[b]! - crowd[a]! || a - b);
  const out = new Array<Place>(spots.length);
  for (const index of order) {
    const { text } = spots[index]!;
    const width = text.length * letter;
    const candidates = steps.flatMap((step) => angles.map((angle) => candidate(spots[index]!, width, step, angle)));
    const free = (rect: Box, others: readonly Box[]): boolean => !others.some((other) => overlap(rect, other));
    const inside = candidates.filter(({ rect }) => within(rect, box));
    const found =
      inside.find(({ rect, step }) => step <= clear && free(rect, placed) && free(rect, circles)) ??
      inside.find(({ rect }) => free(rect, placed)) ??
      inside[0] ??
      candidates[0]!;
    placed.push(found.rect);
    out[index] = { x: found.rect.left, y: found.rect.bottom - 3, far: found.step > near };
  }
  return out;
}

function candidate({ x, y, radius }: Spot, width: number, step: number, angle: number) {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [centreX, centreY] = [x + (radius + step) * cos, y + (radius + step) * sin];
  // the side of the text that faces the circle touches the ray
  const left = Math.abs(cos) < 0.3 ? centreX - width / 2 : cos > 0 ? centreX : centreX - width;
  const top = Math.abs(sin) < 0.6 ? centreY - height / 2 : sin > 0 ? centreY : centreY - height;
  return { step, rect: { left, right: left + width, top, bottom: top + height } };
}

const overlap = (a: Box, b: Box): boolean =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

const within = (a: Box, box: Box): boolean =>
  a.left >= box.left && a.right <= box.right && a.top >= box.top && a.bottom <= box.bottom;
