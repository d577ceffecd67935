/**
 * What the three OTLP signals share: attributes, their values as text, and the limit of a journal record.
 *
 * An AnyValue is read in one of two ways: as text, by the rule of the OpenTelemetry Collector (`AsString`: lists and maps
 * as JSON, bytes as base64), or as a typed scalar where a query language cares whether 1 is a number. Nothing here knows
 * logs, metrics or spans. Nesting stops at NESTING_MAX of `lib/wire/protobuf` with `bad_data`.
 */
export { attributeOf, anyText, type Attribute, type AttributeType } from './any-value.ts'
export { flattenAttribute, labelNameOf, writeTextAttribute } from './attributes.ts'

export { RECORD_BYTES_MAX as PAYLOAD_BYTES_MAX } from '../../../model/index.ts'
