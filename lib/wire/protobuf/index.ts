/**
 * Protobuf's wire format, bytes only: a reader that walks fields by position and a writer that grows. No schema, no
 * reflection, no objects per field; the formats built on it (`lib/wire/otlp`, remote write) know their field numbers.
 *
 * Invariants: the reader never looks outside its range; any bytes give fields or an error of kind `bad_data`, in time linear
 * in the bytes. 64-bit integers come as two unsigned halves; times as milliseconds (a double) plus the nanoseconds below the
 * millisecond, so that nothing is rounded and no BigInt is made. Nesting is the caller's loop; `NESTING_MAX` is the depth
 * at which callers that recurse stop.
 * Cost: a field is a few nanoseconds; a string is made only where the caller asks for one.
 */
export { NESTING_MAX, ProtoReader, WIRE_BYTES, WIRE_FIXED32, WIRE_FIXED64, WIRE_VARINT, textOf } from './reader.ts'
export { ProtoWriter } from './writer.ts'
export { signedFromHalves, subNsOfNano, millisOfNano, nanoHigh, nanoLow, nanoText, unsignedFromHalves } from './nano.ts'
