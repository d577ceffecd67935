/** Fields found in a sample of lines: structured metadata, and what json or logfmt finds in the line, with a guess at their types. */
import type { Labels } from '../../../lib/model/index.ts'
import { parseBytesText, parseDurationText, parseFloatText, type LogLines } from '../../logql/index.ts'

export interface DetectedField {
  readonly label: string
  readonly type: 'string' | 'int' | 'float' | 'boolean' | 'duration' | 'bytes'
  readonly values: ReadonlySet<string>
  /** Absent for structured metadata. */
  readonly parsers: ReadonlySet<string>
  readonly jsonPath: readonly string[] | undefined
}

interface Found {
  readonly values: Set<string>
  readonly parsers: Set<string>
  jsonPath: readonly string[] | undefined
}

/** Different values counted for one field. */
const VALUES_MAX = 1000
const FIELDS_MAX = 1000
const DEPTH_MAX = 16
const HIDDEN: ReadonlySet<string> = new Set(['__error__', '__error_details__'])

export function detectFields(lines: LogLines): DetectedField[] {
  const found = new Map<string, Found>()
  const text = Buffer.from(lines.lineBytes.buffer, lines.lineBytes.byteOffset, lines.lineBytes.byteLength)
  for (let i = 0; i < lines.count; i++) {
    const stream = lines.sets[lines.stream[i]!]!
    addLabels(found, lines.sets[lines.metadata[i]!]!)
    addLabels(found, lines.sets[lines.parsed[i]!]!)
    addLine(found, text.toString('utf8', lines.lineStart[i], lines.lineStart[i + 1]), stream)
  }
  return [...found]
    .map(([label, { values, parsers, jsonPath }]) => ({
      label,
      type: typeOfValue(values.values().next().value ?? ''),
      values,
      parsers,
      jsonPath,
    }))
    .sort((a, b) => (a.label < b.label ? -1 : 1))
}

function addLabels(found: Map<string, Found>, labels: Labels): void {
  for (let i = 0; i < labels.length; i += 2) if (!HIDDEN.has(labels[i]!)) add(found, labels[i]!, labels[i + 1]!)
}

function add(found: Map<string, Found>, label: string, value: string, parser?: string, jsonPath?: readonly string[]): void {
  let one = found.get(label)
  if (one === undefined) {
    if (found.size >= FIELDS_MAX) return
    found.set(label, (one = { values: new Set(), parsers: new Set(), jsonPath }))
  }
  if (one.values.size < VALUES_MAX) one.values.add(value)
  if (parser !== undefined) one.parsers.add(parser)
}

function addLine(found: Map<string, Found>, line: string, stream: Labels): void {
  const named = (name: string): string => {
    for (let i = 0; i < stream.length; i += 2) if (stream[i] === name) return `${name}_extracted`
    return name
  }
  if (line.trimStart().startsWith('{')) {
    try {
      addJson(found, JSON.parse(line), [], named)
      return
    } catch {
      // Not JSON after all: perhaps logfmt.
    }
  }
  for (const [, key, quoted, plain] of line.matchAll(/(?:^|\s)([A-Za-z_][\w.-]*)=(?:"((?:[^"\\]|\\.)*)"|([^\s"=]+)(?=\s|$))/g)) {
    const value = quoted ?? plain ?? ''
    if (value !== '') add(found, named(clean(key!)), value, 'logfmt')
  }
}

function addJson(found: Map<string, Found>, value: unknown, path: readonly string[], named: (name: string) => string): void {
  if (value === null || Array.isArray(value) || path.length > DEPTH_MAX) return
  if (typeof value === 'object') {
    for (const [key, inner] of Object.entries(value as object)) addJson(found, inner, [...path, key], named)
    return
  }
  if (path.length > 0) add(found, named(clean(path.join('_'))), typeof value === 'string' ? value : JSON.stringify(value), 'json', path)
}

function clean(name: string): string {
  const text = name.replaceAll(/[^A-Za-z0-9_]/g, '_')
  return /^\d/.test(text) ? `_${text}` : text
}

/** As Loki guesses: the first that reads the value. */
function typeOfValue(value: string): DetectedField['type'] {
  if (/^[+-]?\d+$/.test(value)) return 'int'
  if (typeof parseFloatText(value) === 'number') return 'float'
  if (/^(true|false|True|False|TRUE|FALSE|t|f|T|F)$/.test(value)) return 'boolean'
  if (typeof parseDurationText(value) === 'number') return 'duration'
  return typeof parseBytesText(value) === 'number' ? 'bytes' : 'string'
}
