import { createHash } from 'node:crypto'

import { labelValue, labelsKey, type Labels } from '../../model/index.ts'
import { RowsBytes, RowsWriter, malformed } from './bytes.ts'
import type { Layout } from './types.ts'

/**
 * A layout as it lies on the wire: label sets as references into one table of strings. Series i has the references
 * `refs[starts[i]] … refs[starts[i + 1]]`, name and value by turns.
 */
export interface LayoutTable {
  readonly id: string
  readonly group: string
  readonly symbols: readonly string[]
  readonly starts: Uint32Array
  readonly refs: Uint32Array
}

/** The layout of some label sets. Its id is the first half of the SHA-256 of its encoding: equal content, equal id, on every machine. */
export function layoutOf(group: string, series: readonly Labels[]): Layout {
  return { id: idOf(encodeLayoutBody(group, series)), group, series }
}

/**
 * The group of the store a series lies in: (job, instance) where it has both, else the whole label set. Series of a group
 * lie in one partition and share timestamps where they can.
 */
export function groupOf(labels: Labels): string {
  const job = labelValue(labels, 'job')
  const instance = labelValue(labels, 'instance')
  return job === '' || instance === '' ? labelsKey(labels) : `${job}\u0000${instance}`
}

/**
 * The layout of a table. It keeps the table and its bytes; `series` makes the label sets anew each time it is asked for them.
 *
 * @param table  its symbols are in the order of their first use; kept, not copied; symbols may be added behind
 */
export function packLayout(table: Omit<LayoutTable, 'id'>): Layout {
  const { group, symbols, starts, refs } = table
  const body = encodeTable(group, symbols, starts, refs)
  return {
    id: idOf(body),
    group,
    body,
    get series() {
      return seriesOf(table)
    },
  }
}

/** group, table of strings in the order of their first use, then each series as its pairs' references. */
export function encodeLayoutBody(group: string, series: readonly Labels[]): Uint8Array<ArrayBuffer> {
  const ids = new Map<string, number>()
  const starts = new Uint32Array(series.length + 1)
  for (const [i, labels] of series.entries()) starts[i + 1] = starts[i]! + labels.length
  const refs = new Uint32Array(starts.at(-1)!)
  let at = 0
  for (const labels of series) {
    for (const text of labels) {
      let id = ids.get(text)
      if (id === undefined) {
        id = ids.size
        ids.set(text, id)
      }
      refs[at++] = id
    }
  }
  return encodeTable(group, [...ids.keys()], starts, refs)
}

function encodeTable(group: string, symbols: readonly string[], starts: Uint32Array, refs: Uint32Array): Uint8Array<ArrayBuffer> {
  const out = new RowsWriter(refs.length * 2 + symbols.length * 16 + 64)
  out.text(group)
  out.varint(symbols.length)
  for (const text of symbols) out.text(text)
  out.varint(starts.length - 1)
  for (let i = 0; i + 1 < starts.length; i++) {
    out.varint((starts[i + 1]! - starts[i]!) / 2)
    for (let k = starts[i]!; k < starts[i + 1]!; k++) out.varint(refs[k]!)
  }
  return out.finish()
}

/**
 * Reads a layout's body and proves that it has the id it came with.
 *
 * Errors: `bad_data` where the bytes are cut, the id is not the content's, or a label set is not in order.
 */
export function decodeLayoutTable(id: string, body: Uint8Array): LayoutTable {
  if (idOf(body) !== id) throw malformed(`the content of layout ${id} has another hash`, 0)
  const input = new RowsBytes(body)
  const group = input.text()
  const symbols: string[] = []
  for (let left = input.count(1); left > 0; left--) symbols.push(input.text())
  const count = input.count(1)
  const starts = new Uint32Array(count + 1)
  const refs = new Uint32Array(input.end - input.at)
  let length = 0
  for (let i = 0; i < count; i++) {
    const pairs = input.count(2)
    for (let k = 0; k < pairs; k++) {
      const name = input.varint()
      const value = input.varint()
      if (name >= symbols.length || value >= symbols.length) throw malformed(`layout ${id} refers to a string it doesn't have`, input.at)
      if (symbols[value] === '' || (k > 0 && !(symbols[refs[length - 2]!]! < symbols[name]!))) {
        throw malformed(`the labels of series ${i} of layout ${id} are not in order`, input.at)
      }
      refs[length++] = name
      refs[length++] = value
    }
    starts[i + 1] = length
  }
  if (input.at !== input.end) throw malformed(`layout ${id} has ${input.end - input.at} bytes too many`, input.at)
  return { id, group, symbols, starts, refs: refs.slice(0, length) }
}

/** The same layout with a label set per series. */
export function layoutOfTable(table: LayoutTable): Layout {
  return { id: table.id, group: table.group, series: seriesOf(table) }
}

function seriesOf(table: Omit<LayoutTable, 'id'>): Labels[] {
  const series: Labels[] = []
  for (let i = 0; i + 1 < table.starts.length; i++) {
    const labels: string[] = []
    for (let k = table.starts[i]!; k < table.starts[i + 1]!; k++) labels.push(table.symbols[table.refs[k]!]!)
    series.push(labels)
  }
  return series
}

function idOf(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex').slice(0, 32)
}
