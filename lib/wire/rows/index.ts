/**
 * Rows: how metrics travel between our own parts, from the scraper to the metrics store.
 *
 * A layout is the ordered list of a target's label sets, named by the hash of its content. A row is one sample of each of its
 * series at one instant: the layout's id, a timestamp, and one double a series, with bitmaps of absent and stale cells. A reader knows a
 * layout from the same or an earlier record of its partition; writers repeat each at least every five minutes (`LayoutAnnouncer`).
 *
 * Costs: a row of known layout is one copy of its values to encode and none to walk (values lie at multiples of 8 in the payload). Numbers are
 * little-endian, and so must the machine be. Bytes of any content end in a value or in an error of kind `bad_data`. The format is drawn in
 * docs/formats/rows.md.
 */
export { LAYOUT_REPEAT_MS, LayoutAnnouncer, type AnnouncerOptions } from './announcer.ts'
export { countItems, decodeRows, walkRows, type RowView, type RowsVisitor } from './decode.ts'
export { RECORD_BYTES_MAX, cutLayout, encodeRecords, encodeRows, type EncodedRows, type SplitOptions } from './encode.ts'
export { groupOf, layoutOf, layoutOfTable, packLayout, type LayoutTable } from './layout.ts'
export { RowsBytes, RowsWriter } from './bytes.ts'
export { readHistogram, writeHistogram } from './histogram.ts'
export type { FamilyMetadata, Layout, Row, RowBatch, RowExemplar } from './types.ts'
