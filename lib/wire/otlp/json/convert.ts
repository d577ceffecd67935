import { SightlineError } from '../../../runtime/errors.ts'
import { NESTING_MAX, ProtoWriter } from '../../protobuf/index.ts'
import { ENUM_NAMES, MESSAGES, type FieldTable } from './schema.ts'

export type OtlpSignal = 'logs' | 'traces' | 'metrics'

const ROOTS: Readonly<Record<OtlpSignal, string>> = { logs: 'LogsRequest', traces: 'TracesRequest', metrics: 'MetricsRequest' }
/** The tag of field 1: cut off where numbers are packed. */
const TAG_BYTES = 1
const MASK32 = 0xffffffffn

/**
 * The protobuf bytes of an OTLP/JSON export request.
 *
 * @param body UTF-8 JSON, or its text
 * Errors: `bad_data` where it is no JSON, or a field has a type it can't have; the message holds the field's path.
 */
export function otlpJsonToProtobuf(signal: OtlpSignal, body: Uint8Array | string): Uint8Array {
  let parsed: unknown
  try {
    parsed = JSON.parse(typeof body === 'string' ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'))
  } catch (error) {
    throw new SightlineError('bad_data', `cannot parse OTLP JSON: ${error instanceof Error ? error.message : 'no JSON'}`, { cause: error })
  }
  const writer = new ProtoWriter(4096)
  writeMessage(writer, ROOTS[signal], parsed, '$', 0)
  return writer.take()
}

function writeMessage(writer: ProtoWriter, name: string, value: unknown, path: string, depth: number): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(path, 'an object')
  if (depth > NESTING_MAX * 2) throw new SightlineError('bad_data', `cannot convert OTLP JSON: ${path.slice(0, 80)} is nested too deep`)
  const fields: FieldTable = MESSAGES[name]!
  for (const [key, member] of Object.entries(value)) {
    const camel = key.includes('_') ? key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()) : key
    const field = Object.hasOwn(fields, camel) ? fields[camel] : undefined
    if (field === undefined || member === null || member === undefined) continue
    writeField(writer, field[0], field[1], member, `${path}.${key}`, depth)
  }
}

function writeField(writer: ProtoWriter, number: number, type: string, value: unknown, path: string, depth: number): void {
  if (!type.endsWith('[]')) {
    writeOne(writer, number, type, value, path, depth)
    return
  }
  if (!Array.isArray(value)) throw wrong(path, 'an array')
  const item = type.slice(0, -2)
  if (item in MESSAGES) {
    for (let i = 0; i < value.length; i++) writeOne(writer, number, item, value[i], `${path}[${i}]`, depth)
    return
  }
  const packed = writer.begin(number)
  const one = new ProtoWriter(32)
  for (let i = 0; i < value.length; i++) {
    one.reset()
    writeOne(one, 1, item, value[i], `${path}[${i}]`, depth)
    writer.raw(one.view(), TAG_BYTES)
  }
  writer.end(packed)
}

function writeOne(writer: ProtoWriter, number: number, type: string, value: unknown, path: string, depth: number): void {
  if (type in MESSAGES) {
    const mark = writer.begin(number)
    writeMessage(writer, type, value, path, depth + 1)
    writer.end(mark)
    return
  }
  if (type.startsWith('enum:')) {
    writer.uint(number, enumOf(type.slice(5), value, path))
    return
  }
  switch (type) {
    case 'string':
      writer.text(number, textOf(value, path))
      return
    case 'hex':
      writer.bytes(number, hexBytes(value, path))
      return
    case 'bytes':
      writer.bytes(number, Buffer.from(textOf(value, path), 'base64'))
      return
    case 'bool':
      if (typeof value !== 'boolean') throw wrong(path, 'true or false')
      writer.uint(number, value ? 1 : 0)
      return
    case 'double':
      writer.double(number, doubleOf(value, path))
      return
    default:
      writeInteger(writer, number, type, value, path)
  }
}

function writeInteger(writer: ProtoWriter, number: number, type: string, value: unknown, path: string): void {
  const integer = integerOf(value, path)
  const low = Number(integer & MASK32)
  const high = Number((integer >> 32n) & MASK32)
  const signed = type === 'int64' || type === 'sfixed64' || type === 'sint32'
  const [min, max] = signed ? [-(1n << 63n), (1n << 63n) - 1n] : [0n, (1n << 64n) - 1n]
  if (integer < min || integer > max || (type.endsWith('32') && (integer > MASK32 || integer < -(1n << 31n)))) {
    throw wrong(path, `an integer in the range of ${type}`)
  }
  if (type.includes('fixed64')) writer.fixed64(number, low, high)
  else if (type === 'fixed32') writer.fixed32(number, low)
  else if (type === 'sint32') writer.uint(number, Number(integer < 0n ? -integer * 2n - 1n : integer * 2n))
  else writer.uint64(number, low, high)
}

function enumOf(prefix: string, value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0x7fffffff) return value
  const name = typeof value === 'string' ? value.replace(prefix, '') : ''
  const index = ENUM_NAMES[prefix]!.indexOf(name)
  if (index >= 0) return index
  if (typeof value === 'string' && /^\d{1,9}$/.test(value)) return Number(value)
  throw wrong(path, `a number or a name of ${prefix}*`)
}

function integerOf(value: unknown, path: string): bigint {
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value)
  if (typeof value === 'string' && /^-?\d{1,20}$/.test(value)) return BigInt(value)
  throw wrong(path, 'an integer')
}

function doubleOf(value: unknown, path: string): number {
  if (typeof value === 'number') return value
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value)
  if (typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value))) return Number(value)
  throw wrong(path, 'a number')
}

function textOf(value: unknown, path: string): string {
  if (typeof value !== 'string') throw wrong(path, 'a string')
  return value
}

function hexBytes(value: unknown, path: string): Uint8Array {
  const text = textOf(value, path)
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) throw wrong(path, 'hex digits')
  return Buffer.from(text, 'hex')
}

function wrong(path: string, wanted: string): SightlineError {
  return new SightlineError('bad_data', `cannot convert OTLP JSON: ${path.slice(0, 200)} is not ${wanted}`)
}
