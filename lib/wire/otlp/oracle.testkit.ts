import protobuf from 'protobufjs'
import { kindOf } from '../../runtime/errors.ts'

/**
 * OTLP as protobufjs reads it: the independent oracle of this folder's tests. Only tests import this file.
 */
const SOURCE = `
syntax = "proto3";
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4;
  AnyList array_value = 5; KeyValueList kvlist_value = 6; bytes bytes_value = 7; } }
message AnyList { repeated AnyValue values = 1; }
message KeyValueList { repeated KeyValue values = 1; }
message KeyValue { string key = 1; AnyValue value = 2; }
message Resource { repeated KeyValue attributes = 1; uint32 dropped_attributes_count = 2; }
message Scope { string name = 1; string version = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4; }
message LogsRequest { repeated ResourceLogs resource_logs = 1; }
message ResourceLogs { Resource resource = 1; repeated ScopeLogs scope_logs = 2; string schema_url = 3; }
message ScopeLogs { Scope scope = 1; repeated LogRecord log_records = 2; string schema_url = 3; }
message LogRecord { fixed64 time_unix_nano = 1; int32 severity_number = 2; string severity_text = 3; AnyValue body = 5;
  repeated KeyValue attributes = 6; uint32 dropped_attributes_count = 7; fixed32 flags = 8; bytes trace_id = 9; bytes span_id = 10;
  fixed64 observed_time_unix_nano = 11; }
message TracesRequest { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; string schema_url = 3; }
message ScopeSpans { Scope scope = 1; repeated Span spans = 2; string schema_url = 3; }
message Span { bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
  fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8; repeated KeyValue attributes = 9; uint32 dropped_attributes_count = 10;
  repeated Event events = 11; repeated Link links = 13; Status status = 15; fixed32 flags = 16; }
message Event { fixed64 time_unix_nano = 1; string name = 2; repeated KeyValue attributes = 3; }
message Link { bytes trace_id = 1; bytes span_id = 2; repeated KeyValue attributes = 4; }
message Status { string message = 2; int32 code = 3; }
message MetricsRequest { repeated ResourceMetrics resource_metrics = 1; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }
message ScopeMetrics { Scope scope = 1; repeated Metric metrics = 2; }
message Metric { string name = 1; string unit = 3; Gauge gauge = 5; Histogram histogram = 9; ExponentialHistogram exponential_histogram = 10; }
message Gauge { repeated NumberPoint data_points = 1; }
message NumberPoint { fixed64 time_unix_nano = 3; double as_double = 4; sfixed64 as_int = 6; repeated KeyValue attributes = 7; }
message Histogram { repeated HistogramPoint data_points = 1; int32 aggregation_temporality = 2; }
message HistogramPoint { fixed64 time_unix_nano = 3; fixed64 count = 4; double sum = 5; repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7; }
message ExponentialHistogram { repeated ExponentialPoint data_points = 1; }
message ExponentialPoint { sint32 scale = 6; Buckets positive = 8; }
message Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
`

const ROOT = protobuf.parse(SOURCE).root

/** A message as plain data: 64-bit integers as decimal text, bytes as hex. */
export interface Plain {
  readonly [key: string]: PlainMember
}

/** A member is read as whatever the test expects it to be: text, or a list, or a message. */
export type PlainMember = Plain & string & PlainList
export interface PlainList {
  readonly [index: number]: Plain
  [Symbol.iterator](): ArrayIterator<Plain>
}

/** Bytes of a message given as plain data (camelCase keys). */
export function oracleEncode(type: string, value: object): Uint8Array {
  const message = ROOT.lookupType(type)
  return new Uint8Array(message.encode(message.fromObject(value)).finish())
}

export function oracleDecode(type: string, bytes: Uint8Array): Plain {
  const message = ROOT.lookupType(type)
  const plain = message.toObject(message.decode(bytes), { longs: String, bytes: Array })
  return hexed(plain) as Plain
}

/** Arrays of numbers that stand for bytes fields become hex text. */
function hexed(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) {
    if (/Id$|bytesValue$/.test(key)) return Buffer.from(value as number[]).toString('hex')
    return value.map((item) => hexed(item))
  }
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, hexed(member, name)]))
}

export const text = (key: string, value: string): object => ({ key, value: { stringValue: value } })

/** The kind of what `run` throws; undefined where it returns. */
export function kindThrownBy(run: () => unknown): string | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    return kindOf(error)
  }
}
