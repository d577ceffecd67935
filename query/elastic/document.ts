/**
 * A log record as a document, and back. Format: docs/formats/elasticsearch.md.
 *
 * `stream` is the label set as a JSON array in order of names: one text names a stream, and says it. `labels` and `metadata` are pairs `name=value` to be found by; metadata is read
 * back from there. A line that is no UTF-8 keeps its bytes in `raw`.
 */
import { isUtf8 } from 'node:buffer'
import type { Labels } from '../../lib/model/index.ts'
import { labelValue } from '../../lib/model/index.ts'
import { hasLongWord } from './words.ts'

/** `ignore_above` of pairs, in characters: longer ones are kept but can't be found. Lucene's limit is 32,766 bytes. */
export const PAIR_LENGTH_MAX = 8191

export interface LogSource {
  readonly '@timestamp': string
  readonly stream: string
  readonly line: string
  readonly raw?: string
  readonly metadata?: readonly string[]
}

/** Where a record stands: unique over all journals. */
export interface DocumentPlace {
  readonly journal: string
  readonly partition: number
  readonly offset: number
  readonly position: number
}

/** A pair as a term. A `=` in a name is escaped, so that the first one is the separator. */
export function pairOf(name: string, value: string): string {
  return `${escapedName(name)}=${value}`
}

export function escapedName(name: string): string {
  return /[\\=]/.test(name) ? name.replaceAll(/[\\=]/g, '\\$&') : name
}

/** The labels of pairs, in their order. */
export function labelsOfPairs(pairs: readonly string[]): Labels {
  const out: string[] = []
  for (const pair of pairs) {
    let at = pair.indexOf('=')
    let name = pair.slice(0, at)
    if (pair.lastIndexOf('\\', at) !== -1) {
      at = 0
      while (pair[at] !== '=') at += pair[at] === '\\' ? 2 : 1
      name = pair.slice(0, at).replaceAll(/\\(.)/g, '$1')
    }
    out.push(name, pair.slice(at + 1))
  }
  return out
}

function pairsOf(labels: Labels): string[] {
  const out: string[] = []
  for (let i = 0; i < labels.length; i += 2) out.push(pairOf(labels[i]!, labels[i + 1]!))
  return out
}

/** What all documents of a stream have alike, as the inside of a JSON object. */
export function encodeStream(tenant: string, labels: Labels): string {
  const stream = JSON.stringify(labels)
  return `"tenant":${JSON.stringify(tenant)},"stream":${JSON.stringify(stream)},"labels":${JSON.stringify(pairsOf(labels))}`
}

/** What all documents with the same structured metadata have alike. */
export function encodeMetadata(metadata: Labels): string {
  if (metadata.length === 0) return ''
  const level = labelValue(metadata, 'detected_level')
  return `,"metadata":${JSON.stringify(pairsOf(metadata))}${level === '' ? '' : `,"level":${JSON.stringify(level)}`}`
}

/** @param stream, metadata from the functions above */
export function encodeDocument(
  stream: string,
  timestamp: string,
  line: Uint8Array,
  metadata: string,
  { journal, partition, offset, position }: DocumentPlace,
): string {
  const text = Buffer.from(line.buffer, line.byteOffset, line.length)
  const raw = isUtf8(line) ? '' : `,"raw":"${text.toString('base64')}"`
  const long = hasLongWord(line) ? ',"long":true' : ''
  const place = `"bytes":${line.length},"journal":${JSON.stringify(journal)},"partition":${partition},"offset":${offset},"position":${position}`
  return `{"@timestamp":"${timestamp}",${stream},"line":${JSON.stringify(text.toString('utf8'))}${raw}${long}${metadata},${place}}`
}

/** `2026-11-21T06:30:11.123456789Z` of a time. The text of a second is kept: neighbours share it. */
export class TimestampWriter {
  #second = NaN
  #text = ''

  write(timeMs: number, subNs: number): string {
    const second = Math.floor(timeMs / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#text = new Date(second * 1000).toISOString().slice(0, -4)
    }
    const nanos = (timeMs - second * 1000) * 1_000_000 + subNs
    return `${this.#text}${String(nanos).padStart(9, '0')}Z`
  }
}

/** The other way, for three to nine digits below the second. */
export class TimestampReader {
  #prefix = ''
  #secondMs = 0
  timeMs = 0
  subNs = 0

  read(text: string): void {
    const dot = text.lastIndexOf('.')
    const end = text.length - 1
    const prefix = text.slice(0, dot === -1 ? end : dot)
    if (prefix !== this.#prefix) {
      this.#prefix = prefix
      this.#secondMs = Date.parse(`${prefix}Z`)
    }
    const nanos = dot === -1 ? 0 : Number(text.slice(dot + 1, end).padEnd(9, '0'))
    const ms = Math.floor(nanos / 1_000_000)
    this.timeMs = this.#secondMs + ms
    this.subNs = nanos - ms * 1_000_000
  }
}
