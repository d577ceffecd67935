/**
 * What logs and traces share: immutable segment files of compressed blocks, the shelf that keeps, merges and drops them, filters that tell which blocks can't
 * contain a text, and a cache of decoded blocks. The schemas are `query/logs` and `query/traces`; the file is drawn in `segment-file.ts` and docs/formats/events.md.
 *
 * Costs: decompression is the floor of a scan (about 0.6 GB/s), so the newest blocks stay decoded in the cache and filters spare the others.
 */
export { BlockCache } from './cache.ts'
export { buildFilter, mayContain, mayContainValue } from './filters.ts'
export { SegmentReader, SegmentWriter, type SectionPlace } from './segment-file.ts'
export { SegmentShelf, type SegmentSchema, type TenantSection } from './segment-shelf.ts'
