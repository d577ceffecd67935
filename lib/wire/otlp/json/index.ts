/**
 * OTLP/JSON to OTLP/protobuf, all three signals: one small table of the messages' fields and one converter, so that an HTTP
 * request in JSON goes the way of the same request in protobuf.
 *
 * It is the protocol's JSON, not plain proto3 JSON: ids are hex, enums numbers (names are accepted too), 64-bit integers are strings
 * or numbers, bytes are base64; keys in lowerCamelCase or as in the .proto file. Unknown keys are skipped, as the protocol asks. A
 * wrong type is `bad_data` with its path. Cost: JSON.parse and one walk; a cold path next to protobuf.
 */
export { otlpJsonToProtobuf, type OtlpSignal } from './convert.ts'
