/**
 * `| json` and `| unpack`: a scanner over the line's bytes. Objects flatten with `_`, arrays and null are left out; values nobody wants are
 * skipped without becoming strings, and once all wanted ones are found the rest of the line isn't read.
 *
 * A malformed line keeps what came before the fault and gets `__error__="JSONParserErr"`.
 */
import type { Entry } from './entry.ts'
import { sanitizeName } from './names.ts'
import { KeyTable } from './key-table.ts'
import type { LineStage } from './stage.ts'

export const JSON_ERROR = 'JSONParserErr'
const NO_OBJECT = "Value looks like object, but can't find closing '}' symbol"
const DEPTH_MAX = 64
const QUOTE = 34
const COMMA = 44
const COLON = 58
const OPEN = 123
const CLOSE = 125

/** Reads one JSON value after another from bytes. Positions are absolute; −1 is the answer to malformed input. */
export class JsonScanner {
  #bytes: Buffer = EMPTY
  #end = 0
  readonly #keys = new KeyTable()
  at = 0

  reset(bytes: Uint8Array, start: number, end: number): void {
    if (bytes !== (this.#bytes as Uint8Array)) this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = start
    this.#end = end
  }

  /** The next byte that isn't white space; −1 at the end. */
  peek(): number {
    const bytes = this.#bytes
    while (this.at < this.#end) {
      const byte = bytes[this.at]!
      if (byte !== 32 && (byte < 9 || byte > 13)) return byte
      this.at++
    }
    return -1
  }

  take(byte: number): boolean {
    if (this.peek() !== byte) return false
    this.at++
    return true
  }

  /** A string's text, its quotes read over; undefined where it doesn't end. */
  string(): string | undefined {
    const start = this.at + 1
    let hasEscape = false
    let isAscii = true
    let at = start
    const bytes = this.#bytes
    for (; at < this.#end; at++) {
      const byte = bytes[at]!
      if (byte === QUOTE) break
      if (byte === 92) {
        hasEscape = true
        at++
      } else if (byte >= 128) isAscii = false
    }
    if (at >= this.#end) return undefined
    this.at = at + 1
    if (hasEscape) return unescaped(bytes.toString('utf8', start, at))
    return isAscii ? bytes.toString('latin1', start, at) : bytes.toString('utf8', start, at).replaceAll('\ufffd', '')
  }

  /** A key as the part of a label name it makes, its quotes read over; undefined where it doesn't end. */
  name(): string | undefined {
    const bytes = this.#bytes
    const start = this.at + 1
    for (let at = start; at < this.#end; at++) {
      const byte = bytes[at]!
      if (byte === 92 || byte >= 128) break
      if (byte !== QUOTE) continue
      const name = this.#keys.nameOf(bytes, start, at)
      if (name === undefined) break
      this.at = at + 1
      return name
    }
    const key = this.string()
    return key === undefined ? undefined : sanitizeName(key, false)
  }

  /** A number, true, false or null as written. */
  scalar(): string | undefined {
    const start = this.at
    while (this.at < this.#end && isScalar(this.#bytes[this.at]!)) this.at++
    const text = this.#bytes.toString('latin1', start, this.at)
    return text === 'true' || text === 'false' || text === 'null' || /^-?\d/.test(text) ? text : undefined
  }

  /** Reads over a value; false where it is malformed. */
  skip(): boolean {
    const first = this.peek()
    if (first === QUOTE) return this.#skipString()
    if (first !== OPEN && first !== 91) return this.scalar() !== undefined
    let depth = 0
    const bytes = this.#bytes
    while (this.at < this.#end) {
      const byte = bytes[this.at]!
      if (byte === QUOTE) {
        if (!this.#skipString()) return false
        continue
      }
      this.at++
      if (byte === OPEN || byte === 91) depth++
      else if ((byte === CLOSE || byte === 93) && --depth === 0) return true
    }
    return false
  }

  /** The text of the value at hand, objects and arrays too. */
  raw(): string | undefined {
    this.peek()
    const start = this.at
    return this.skip() ? this.#bytes.toString('utf8', start, this.at) : undefined
  }

  #skipString(): boolean {
    const bytes = this.#bytes
    for (let at = this.at + 1; at < this.#end; at++) {
      const byte = bytes[at]!
      if (byte === 92) at++
      else if (byte === QUOTE) {
        this.at = at + 1
        return true
      }
    }
    return false
  }
}

const EMPTY = Buffer.alloc(0)

function isScalar(byte: number): boolean {
  return (byte >= 48 && byte <= 57) || (byte >= 97 && byte <= 122) || byte === 43 || byte === 45 || byte === 46 || byte === 69
}

function unescaped(body: string): string | undefined {
  try {
    return (JSON.parse(`"${escapeControls(body)}"`) as string).toWellFormed().replaceAll('\ufffd', '')
  } catch {
    return undefined
  }
}

/** A raw tab or line break in a string is taken as it is. */
function escapeControls(body: string): string {
  let out = ''
  let from = 0
  for (let i = 0; i < body.length; i++) {
    const code = body.charCodeAt(i)
    if (code >= 32) continue
    out += `${body.slice(from, i)}\\u${code.toString(16).padStart(4, '0')}`
    from = i + 1
  }
  return from === 0 ? body : out + body.slice(from)
}

export function jsonStage(): LineStage {
  const scanner = new JsonScanner()
  return {
    reads: 'both',
    process(entry) {
      const { wanted } = entry
      if (wanted !== undefined && wanted.size === 0) return true
      scanner.reset(entry.bytes, entry.start, entry.end)
      const state = { missing: wanted === undefined ? Infinity : missingOf(entry, wanted) }
      if (scanner.peek() !== OPEN || !flatten(scanner, entry, '', 0, state)) {
        if (state.missing > 0) entry.fail(JSON_ERROR, NO_OBJECT)
      }
      return true
    },
  }
}

/** How many wanted labels the line doesn't have yet. */
function missingOf(entry: Entry, wanted: ReadonlySet<string>): number {
  let missing = 0
  for (const name of wanted) if (!name.startsWith('__error') && entry.get(name) === undefined) missing++
  // A filter on the error asks for the whole line to be read.
  return wanted.has('__error__') || wanted.has('__error_details__') ? Infinity : missing
}

/** False where the object is malformed, or where nothing more is wanted. */
function flatten(scanner: JsonScanner, entry: Entry, prefix: string, depth: number, state: { missing: number }): boolean {
  scanner.at++
  if (scanner.take(CLOSE)) return true
  if (depth > DEPTH_MAX) return false
  for (;;) {
    if (scanner.peek() !== QUOTE) return false
    const key = scanner.name()
    if (key === undefined || !scanner.take(COLON)) return false
    if (!field(scanner, entry, prefix, key, depth, state) || state.missing <= 0) return false
    if (scanner.take(COMMA)) continue
    return scanner.take(CLOSE)
  }
}

function field(scanner: JsonScanner, entry: Entry, prefix: string, key: string, depth: number, state: { missing: number }): boolean {
  const first = scanner.peek()
  const name = prefix === '' ? startingName(key) : `${prefix}_${key}`
  if (first === OPEN)
    return entry.wanted === undefined || leadsToWanted(entry, name) ? flatten(scanner, entry, name, depth + 1, state) : scanner.skip()
  if (first === 91) return scanner.skip()
  const target = name === '' ? undefined : entry.parsedName(name)
  if (target === undefined) return scanner.skip()
  const value = first === QUOTE ? scanner.string() : scanner.scalar()
  if (value === undefined) return false
  if (first !== QUOTE && value === 'null') return true
  entry.set(target, value, 2)
  state.missing--
  return true
}

/** A label name starts with no digit; behind a prefix it may. */
function startingName(name: string): string {
  const code = name.charCodeAt(0)
  return code >= 48 && code <= 57 ? `_${name}` : name
}

function leadsToWanted(entry: Entry, prefix: string): boolean {
  for (const name of entry.wanted!) if (name.startsWith(`${prefix}_`)) return true
  return false
}

/** `| unpack`: string fields of an object written by Promtail's pack stage; `_entry` is the line. */
export function unpackStage(): LineStage {
  const scanner = new JsonScanner()
  return {
    reads: 'both',
    process(entry) {
      scanner.reset(entry.bytes, entry.start, entry.end)
      const fields = new Map<string, string>()
      if (scanner.peek() !== OPEN) {
        entry.fail(JSON_ERROR, 'expecting json object(6), but it is not')
        return true
      }
      if (!unpackFields(scanner, fields)) {
        entry.fail(JSON_ERROR, NO_OBJECT)
        return true
      }
      // Names that clash get the suffix only where the line was really packed.
      const line = fields.get('_entry')
      for (const [name, value] of fields) if (name !== '_entry') entry.addParsed(name, value)
      if (line !== undefined) entry.text = line
      return true
    },
  }
}

function unpackFields(scanner: JsonScanner, fields: Map<string, string>): boolean {
  scanner.at++
  if (scanner.take(CLOSE)) return true
  for (;;) {
    if (scanner.peek() !== QUOTE) return false
    const key = scanner.string()
    if (key === undefined || !scanner.take(COLON)) return false
    if (scanner.peek() === QUOTE) {
      const value = scanner.string()
      if (value === undefined) return false
      fields.set(key, value)
    } else if (!scanner.skip()) return false
    if (!scanner.take(COMMA)) return scanner.take(CLOSE)
  }
}
