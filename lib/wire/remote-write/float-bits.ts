/** Doubles and their bits: staleness is decided on bits, because a NaN's payload doesn't survive being a JavaScript number. */

/** Prometheus' stale marker, 0x7ff0000000000002. */
export const STALE_NAN_HIGH = 0x7ff00000
export const STALE_NAN_LOW = 2

export function isStaleBits(low: number, high: number): boolean {
  return high === STALE_NAN_HIGH && low === STALE_NAN_LOW
}

/** A converter with a scratch of its own: the double of two unsigned halves. */
export function floatBits(): (low: number, high: number) => number {
  const halves = new Uint32Array(2)
  const double = new Float64Array(halves.buffer)
  return (low, high) => {
    halves[0] = low
    halves[1] = high
    return double[0]!
  }
}
