import { SightlineError } from '../../../runtime/errors.ts'
import { NESTING_MAX, ProtoReader, WIRE_BYTES, WIRE_FIXED64, WIRE_VARINT, signedFromHalves, textOf } from '../../protobuf/index.ts'

/**
 * KeyValue: 1 key, 2 value.
 * AnyValue: 1 string, 2 bool, 3 int, 4 double, 5 array { 1 values }, 6 kvlist { 1 values }, 7 bytes.
 */
const KEY = 1
const VALUE = 2
const STRING = 1
const BOOL = 2
const INT = 3
const DOUBLE = 4
const ARRAY = 5
const KVLIST = 6
const BYTES = 7

export type AttributeType = 'string' | 'int' | 'double' | 'bool' | 'array' | 'kvlist' | 'bytes' | 'empty'

/** One attribute. `value` is a JSON text for arrays and maps, base64 for bytes, digits for integers beyond 2^53. */
export interface Attribute {
  readonly key: string
  readonly type: AttributeType
  readonly value: string | number | boolean
}

/** The KeyValue message in `bytes[from, to)`. */
export function attributeOf(bytes: Uint8Array, from: number, to: number): Attribute {
  const reader = new ProtoReader(bytes, from, to)
  let key = ''
  let valueFrom = 0
  let valueTo = 0
  while (reader.next()) {
    if (!reader.isBytes) continue
    if (reader.field === KEY) key = reader.text()
    else if (reader.field === VALUE) {
      valueFrom = reader.start
      valueTo = reader.stop
    }
  }
  const parsed = scalarOf(bytes, valueFrom, valueTo)
  return { key, type: parsed.type, value: parsed.value }
}

/**
 * The text of the AnyValue in `bytes[from, to)`; '' for an empty one.
 * Source: `Value.AsString` of the Collector's pdata; a list or map is JSON, in the order of the wire, without spaces.
 */
export function anyText(bytes: Uint8Array, from: number, to: number): string {
  const parsed = scalarOf(bytes, from, to)
  if (typeof parsed.value === 'string') return parsed.value
  return typeof parsed.value === 'number' && parsed.type === 'double' ? doubleText(parsed.value) : String(parsed.value)
}

function scalarOf(bytes: Uint8Array, from: number, to: number): { type: AttributeType; value: string | number | boolean } {
  const reader = new ProtoReader(bytes, from, to)
  let out: { type: AttributeType; value: string | number | boolean } = { type: 'empty', value: '' }
  while (reader.next()) {
    if (reader.field === STRING && reader.isBytes) out = { type: 'string', value: reader.text() }
    else if (reader.field === BOOL && reader.wire === WIRE_VARINT) out = { type: 'bool', value: reader.low !== 0 || reader.high !== 0 }
    else if (reader.field === INT && reader.wire === WIRE_VARINT) out = { type: 'int', value: signedFromHalves(reader.low, reader.high) }
    else if (reader.field === DOUBLE && reader.wire === WIRE_FIXED64) out = { type: 'double', value: doubleOf(reader) }
    else if (reader.field === BYTES && reader.isBytes) out = { type: 'bytes', value: Buffer.from(reader.range()).toString('base64') }
    else if (reader.isBytes && reader.field === ARRAY) out = { type: 'array', value: jsonOf(bytes, from, to, 0) }
    else if (reader.isBytes && reader.field === KVLIST) out = { type: 'kvlist', value: jsonOf(bytes, from, to, 0) }
  }
  return out
}

/** JSON of the AnyValue in `bytes[from, to)`. */
function jsonOf(bytes: Uint8Array, from: number, to: number, depth: number): string {
  if (depth > NESTING_MAX) throw new SightlineError('bad_data', `cannot read an attribute: nested deeper than ${NESTING_MAX}`)
  const reader = new ProtoReader(bytes, from, to)
  let out = 'null'
  while (reader.next()) {
    const { field, wire } = reader
    if (field === STRING && wire === WIRE_BYTES) out = JSON.stringify(reader.text())
    else if (field === BOOL && wire === WIRE_VARINT) out = String(reader.low !== 0)
    else if (field === INT && wire === WIRE_VARINT) out = String(signedFromHalves(reader.low, reader.high))
    else if (field === DOUBLE && wire === WIRE_FIXED64) out = jsonDouble(doubleOf(reader))
    else if (field === BYTES && wire === WIRE_BYTES) out = JSON.stringify(Buffer.from(reader.range()).toString('base64'))
    else if (field === ARRAY && wire === WIRE_BYTES) out = `[${listOf(bytes, reader.start, reader.stop, depth).join(',')}]`
    else if (field === KVLIST && wire === WIRE_BYTES) out = `{${membersOf(bytes, reader.start, reader.stop, depth).join(',')}}`
  }
  return out
}

function listOf(bytes: Uint8Array, from: number, to: number, depth: number): string[] {
  const reader = new ProtoReader(bytes, from, to)
  const out: string[] = []
  while (reader.next()) if (reader.field === 1 && reader.isBytes) out.push(jsonOf(bytes, reader.start, reader.stop, depth + 1))
  return out
}

function membersOf(bytes: Uint8Array, from: number, to: number, depth: number): string[] {
  const out: string[] = []
  const reader = new ProtoReader(bytes, from, to)
  while (reader.next()) {
    if (reader.field !== 1 || !reader.isBytes) continue
    const member = new ProtoReader(bytes, reader.start, reader.stop)
    let key = ''
    let value = 'null'
    while (member.next()) {
      if (!member.isBytes) continue
      if (member.field === KEY) key = textOf(bytes, member.start, member.stop)
      else if (member.field === VALUE) value = jsonOf(bytes, member.start, member.stop, depth + 1)
    }
    out.push(`${JSON.stringify(key)}:${value}`)
  }
  return out
}

function doubleOf(reader: ProtoReader): number {
  const view = new DataView(new ArrayBuffer(8))
  view.setUint32(0, reader.low, true)
  view.setUint32(4, reader.high, true)
  return view.getFloat64(0, true)
}

function jsonDouble(value: number): string {
  return Number.isFinite(value) ? doubleText(value) : JSON.stringify(doubleText(value))
}

function doubleText(value: number): string {
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  return String(value)
}
