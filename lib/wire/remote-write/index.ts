/**
 * Prometheus remote write, 1.0 and 2.0: request bytes (after snappy) to rows, and rows' samples back to 1.0.
 *
 * A `SeriesBook` remembers the series of one tenant: their label bytes, and the *column* each has in a slice of its group. A series that is known is
 * recognised by its bytes (the one expected next first, else by a hash, always verified) and its labels are neither parsed nor allocated. Slices
 * hold up to 128 series of a group in the order they first came and only ever grow, so their layouts stay the same from request to request,
 * however a sender cuts and shards its series.
 *
 * Invariants: samples of one (slice, timestamp) are one row; staleness is read from the bits of the value; a series with bad labels is left out
 * and counted with its reason, its neighbours stay. Any bytes give a value or an error of kind `bad_data`. Every memory has a limit.
 */
export { decodeWriteV1 } from './decode-v1.ts'
export { decodeWriteV2 } from './decode-v2.ts'
export { encodeWriteV1, type WriteSeries } from './encode-v1.ts'
export { SeriesBook, type KnownSeries, type SeriesBookOptions } from './series-book.ts'
export { floatBits, isStaleBits, STALE_NAN_HIGH, STALE_NAN_LOW } from './float-bits.ts'
export type { DecodedWrite, WriteCounts } from './decoded.ts'
