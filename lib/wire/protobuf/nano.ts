/**
 * Unsigned 64-bit nanoseconds as two halves, and as milliseconds plus nanoseconds below the millisecond.
 * All four directions are exact for every 64-bit value: no intermediate passes 2^53.
 */
const TWO32 = 4_294_967_296
/** 2^32 = 4294 · 10^6 + 967296. */
const TWO32_MILLIONS = 4294
const TWO32_REST = 967_296

/** Whole milliseconds of `high · 2^32 + low` nanoseconds. */
export function millisOfNano(low: number, high: number): number {
  return high * TWO32_MILLIONS + Math.floor((high * TWO32_REST + low) / 1e6)
}

/** The nanoseconds below the millisecond, 0 … 999999. */
export function subNsOfNano(low: number, high: number): number {
  return (high * TWO32_REST + low) % 1e6
}

/** Low half of `ms · 10^6 + subNs`. `ms` is a whole number, 0 … 2^64 / 10^6. */
export function nanoLow(ms: number, subNs: number): number {
  return ((ms % TWO32) * 1e6 + subNs) % TWO32
}

/** High half of `ms · 10^6 + subNs`. */
export function nanoHigh(ms: number, subNs: number): number {
  return Math.floor(ms / TWO32) * 1e6 + Math.floor(((ms % TWO32) * 1e6 + subNs) / TWO32)
}

/** Nanoseconds in decimal digits, as the JSON of every API writes them. */
export function nanoText(ms: number, subNs: number): string {
  return ms === 0 ? String(subNs) : `${ms}${String(subNs).padStart(6, '0')}`
}

/** An unsigned 64-bit integer as a double; exact up to 2^53. */
export function unsignedFromHalves(low: number, high: number): number {
  return high * TWO32 + low
}

/** A two's-complement 64-bit integer in decimal digits where a double can't hold it, else as a number. */
export function signedFromHalves(low: number, high: number): number | string {
  const value = (high | 0) * TWO32 + low
  return Number.isSafeInteger(value) ? value : String(BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low)))
}
