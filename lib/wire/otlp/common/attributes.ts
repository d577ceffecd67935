import { SightlineError } from '../../../runtime/errors.ts'
import { NESTING_MAX, ProtoReader, type ProtoWriter } from '../../protobuf/index.ts'
import { anyText } from './any-value.ts'

const KVLIST = 6

/**
 * The label name of an attribute key: every character outside `[A-Za-z0-9_]` becomes `_`, a leading digit gets `key_` before
 * it, a single leading underscore `key`. '' stays ''.
 * Source: the Prometheus OTLP translator, as Loki calls it.
 */
export function labelNameOf(key: string): string {
  const name = key.replace(/[^A-Za-z0-9_]/gu, '_')
  const first = name.charCodeAt(0)
  if (first >= 0x30 && first <= 0x39) return `key_${name}`
  return name.startsWith('_') && !name.startsWith('__') ? `key${name}` : name
}

/**
 * Appends the labels of one KeyValue to `out` (name, value, …): a map becomes one label a leaf, its name the keys
 * joined with `_`; everything else one label with the value's text.
 *
 * @returns the attribute's own key, as it was on the wire
 * Source: Loki's `attributeToLabels`.
 */
export function flattenAttribute(bytes: Uint8Array, from: number, to: number, out: string[], prefix = '', depth = 0): string {
  if (depth > NESTING_MAX) throw new SightlineError('bad_data', `cannot read an attribute: nested deeper than ${NESTING_MAX}`)
  const reader = new ProtoReader(bytes, from, to)
  let key = ''
  let valueFrom = 0
  let valueTo = 0
  while (reader.next()) {
    if (!reader.isBytes) continue
    if (reader.field === 1) key = reader.text()
    else if (reader.field === 2) {
      valueFrom = reader.start
      valueTo = reader.stop
    }
  }
  const name = prefix === '' ? key : `${prefix}_${key}`
  if (!flattenMap(bytes, valueFrom, valueTo, out, name, depth)) out.push(labelNameOf(name), anyText(bytes, valueFrom, valueTo))
  return key
}

/** False, with nothing done, where the value is no map. */
function flattenMap(bytes: Uint8Array, from: number, to: number, out: string[], prefix: string, depth: number): boolean {
  const reader = new ProtoReader(bytes, from, to)
  let isMap = false
  while (reader.next()) {
    if (reader.field !== KVLIST || !reader.isBytes) continue
    isMap = true
    const members = new ProtoReader(bytes, reader.start, reader.stop)
    while (members.next()) {
      if (members.field === 1 && members.isBytes) flattenAttribute(bytes, members.start, members.stop, out, prefix, depth + 1)
    }
  }
  return isMap
}

/** Writes a KeyValue whose value is a string, as field `field` of the message being written. */
export function writeTextAttribute(writer: ProtoWriter, field: number, key: string, value: string): void {
  const mark = writer.begin(field)
  writer.text(1, key)
  const inner = writer.begin(2)
  writer.text(1, value)
  writer.end(inner)
  writer.end(mark)
}
