/**
 * Exposition text to numbers, for one target, scrape after scrape.
 *
 * A target lists its series in the same order every time. So the parser keeps the texts of lines (series without their values, comments) and their order
 * in the last scrape, and compares the next line with the line expected next; only a line that was not expected is
 * looked up by its text, and only one that was never seen is parsed. Series are refs that the caller hands out; the parser
 * keeps no labels.
 *
 *   texts   | # TYPE up gauge | up{a="1"} | up{a="2"} | …     by number (`texts.ts`)
 *   refs    | COMMENT         | 0         | 1         | …
 *   order   | 0               | 1         | 2         | …     numbers of the last scrape's lines
 *
 * Cost: below a nanosecond a byte of steady text. Limits: a line that ends nowhere is an error, and who calls bounds the body.
 */
import type { FamilyMetadata } from '../rows/index.ts'
import type { Labels } from '../../model/index.ts'
import { SightlineError } from '../../runtime/errors.ts'
import { parseFloatBytes } from './float.ts'
import { parseSeries, seriesEnd, unescapeText } from './series.ts'
import { LineTexts } from './texts.ts'

/** Refs of lines that are no series. */
const COMMENT = -2
const END = -3
const NOWHERE = -1
/** Families whose comments are remembered, so that one changed comment is told with the others of its family. */
const FAMILIES_MAX = 50_000
/** Comments that the last scrape didn't have: beyond it their texts are forgotten. */
const OLD_COMMENTS_MAX = 1000

export interface ParserOptions {
  readonly format: 'text' | 'openmetrics'
  /** A series that was not seen before: its labels as exposed. Returns the ref under which it is reported from then on. */
  readonly onSeries: (labels: Labels) => number
}

export interface ExposedExemplar {
  /** Index of the sample in this scrape. */
  readonly sample: number
  readonly labels: Labels
  readonly value: number
  /** Unix milliseconds, NaN where not exposed. */
  readonly timestampMs: number
}

/** One scrape's samples, in exposed order. The arrays are the parser's own and good until the next call. */
export interface Exposition {
  readonly count: number
  readonly refs: Int32Array
  readonly values: Float64Array
  /** Unix milliseconds as exposed, NaN where not; undefined where no line had one. */
  readonly timestamps: Float64Array | undefined
  readonly exemplars: readonly ExposedExemplar[]
  /** Families whose comments were not seen before or changed. */
  readonly metadata: readonly FamilyMetadata[]
}

/** What one pass over a body has come to. */
class Scan {
  readonly #order: Int32Array
  readonly exemplars: ExposedExemplar[] = []
  readonly changed = new Set<string>()
  /** The texts of this body, from the first one on that was not expected. */
  seen: number[] | undefined
  /** Index of the line expected next. */
  expected = 0
  count = 0
  hasTimes = false
  lineNumber = 1
  ended = false

  constructor(order: Int32Array) {
    this.#order = order
  }

  /** The expected line came; returns its text. */
  takeExpected(): number {
    const text = this.#order[this.expected++]!
    this.seen?.push(text)
    return text
  }

  /** Another line came; where it has a place in the order, the line after it is expected next. */
  takeOther(text: number, place: number | undefined): void {
    this.seen ??= [...this.#order.subarray(0, this.expected)]
    this.seen.push(text)
    if (place !== undefined && place !== NOWHERE) this.expected = place + 1
  }
}

export class ExpositionParser {
  readonly #options: ParserOptions
  readonly #families = new Map<string, FamilyMetadata>()
  #texts = new LineTexts()
  /** The texts of the last scrape's lines. */
  #order = new Int32Array(0)
  /** By text: its index in `#order`, or NOWHERE. */
  #places = new Int32Array(0)
  #outRefs = new Int32Array(256)
  #outValues = new Float64Array(256)
  #outTimes = new Float64Array(256)

  constructor(options: ParserOptions) {
    this.#options = options
  }

  /** Forgets a series, so that it is handed to `onSeries` again when it comes back. */
  forget(isGone: (ref: number) => boolean): void {
    this.#drop((text) => {
      const ref = this.#texts.ref(text)
      return ref >= 0 && isGone(ref)
    })
  }

  /** Errors: bad_data with line number and cause; nothing of such a scrape counts, as in Prometheus. */
  parse(body: Buffer): Exposition {
    // Comments of scrapes that failed since the last one that didn't.
    if (this.#texts.size - this.#places.length > OLD_COMMENTS_MAX) this.#learn(this.#order)
    const scan = new Scan(this.#order)
    const view = new DataView(body.buffer, body.byteOffset, body.length)
    for (let at = 0; at < body.length; scan.lineNumber++) {
      if (scan.ended) throw lineError(scan.lineNumber, 'unexpected text after # EOF')
      const textEnd = this.#matchExpected(view, at, scan.expected)
      if (textEnd === NOWHERE) at = this.#readUnexpected(body, at, scan)
      else at = this.#readLine(body, textEnd, this.#texts.ref(scan.takeExpected()), scan)
    }
    if (this.#options.format === 'openmetrics' && !scan.ended) throw lineError(scan.lineNumber, 'data does not end with # EOF')
    if (scan.seen !== undefined) this.#learn(Int32Array.from(scan.seen))
    else if (scan.expected !== this.#order.length) this.#learn(this.#order.slice(0, scan.expected))
    return {
      count: scan.count,
      refs: this.#outRefs,
      values: this.#outValues,
      timestamps: scan.hasTimes ? this.#outTimes : undefined,
      exemplars: scan.exemplars,
      metadata: [...scan.changed].map((family) => this.#families.get(family)!),
    }
  }

  /** Where the expected line's text ends in the body, NOWHERE where another line stands there. */
  #matchExpected(body: DataView, at: number, expected: number): number {
    if (expected >= this.#order.length) return NOWHERE
    const text = this.#order[expected]!
    const end = this.#texts.endIn(body, at, text)
    if (end === NOWHERE) return NOWHERE
    const next = end === body.byteLength ? 10 : body.getUint8(end)
    const isWhole = this.#texts.ref(text) < 0 ? next === 10 : next === 32 || next === 9
    return isWhole ? end : NOWHERE
  }

  /** A line that was not expected: blank, a comment, or a series to be looked up. Returns where the next line begins. */
  #readUnexpected(body: Buffer, at: number, scan: Scan): number {
    const lineEnd = endOfLine(body, at)
    const start = skipBlanks(body, at, lineEnd)
    if (start === lineEnd) return lineEnd + 1
    const isComment = body[start] === 35
    const textEnd = isComment ? lineEnd : seriesEnd(body, start, lineEnd)
    let text = this.#texts.find(body, start, textEnd)
    if (text === NOWHERE) text = this.#texts.add(body, start, textEnd, this.#newRef(body.toString('utf8', start, textEnd), isComment, scan))
    const ref = this.#texts.ref(text)
    if (ref === COMMENT) this.#noteComment(body.toString('utf8', start, textEnd), scan)
    scan.takeOther(text, this.#places[text])
    return this.#readLine(body, textEnd, ref, scan)
  }

  /** What follows a line's text: nothing behind a comment, else value, timestamp and exemplar. Returns where the next line begins. */
  #readLine(body: Buffer, textEnd: number, ref: number, scan: Scan): number {
    if (ref < 0) {
      scan.ended ||= ref === END
      return textEnd + 1
    }
    const { count } = scan
    if (count === this.#outRefs.length) this.#grow()
    const valueStart = skipBlanks(body, textEnd, body.length)
    const valueEnd = endOfToken(body, valueStart)
    const value = parseFloatBytes(body, valueStart, valueEnd)
    if (value === undefined) {
      const found = body.toString('utf8', valueStart, Math.min(valueEnd, valueStart + 50))
      throw lineError(scan.lineNumber, `expected a value, got ${JSON.stringify(found)}`)
    }
    this.#outRefs[count] = ref
    this.#outValues[count] = value
    scan.count++
    if (body[valueEnd] === 10 || valueEnd >= body.length) {
      if (scan.hasTimes) this.#outTimes[count] = Number.NaN
      return valueEnd + 1
    }
    const lineEnd = endOfLine(body, valueEnd)
    const timestampMs = this.#tail(body.toString('utf8', valueEnd, lineEnd).trim(), count, scan.lineNumber, scan.exemplars)
    if (!Number.isNaN(timestampMs) && !scan.hasTimes) {
      this.#outTimes.fill(Number.NaN, 0, count)
      scan.hasTimes = true
    }
    this.#outTimes[count] = timestampMs
    return lineEnd + 1
  }

  /** `# TYPE name counter`, `# HELP name text`, `# UNIT name unit`; any other comment is none of ours. */
  #noteComment(text: string, scan: Scan): void {
    const match = /^#[ \t]+(TYPE|HELP|UNIT)[ \t]+("(?:[^"\\]|\\.)*"|\S+)[ \t]?(.*)$/s.exec(text)
    if (match === null) return
    const family = match[2]!.startsWith('"') ? unescapeText(match[2]!.slice(1, -1)) : match[2]!
    const known = this.#families.get(family) ?? { family, type: 'unknown', help: '', unit: '' }
    const value = match[3]!
    if (match[1] === 'TYPE') this.#families.set(family, { ...known, type: value.trim() === 'untyped' ? 'unknown' : value.trim() })
    else if (match[1] === 'HELP') this.#families.set(family, { ...known, help: unescapeText(value) })
    else this.#families.set(family, { ...known, unit: value.trim() })
    scan.changed.add(family)
    if (this.#families.size > FAMILIES_MAX) this.#families.delete(this.#families.keys().next().value!)
  }

  /** The ref of a line that was never seen. */
  #newRef(text: string, isComment: boolean, { lineNumber }: Scan): number {
    if (isComment) return text === '# EOF' && this.#options.format === 'openmetrics' ? END : COMMENT
    let labels: Labels
    try {
      labels = parseSeries(text)
    } catch (error) {
      throw lineError(lineNumber, (error as Error).message)
    }
    return this.#options.onSeries(labels)
  }

  /** What follows the value: a timestamp, and in OpenMetrics an exemplar. Returns the timestamp in milliseconds or NaN. */
  #tail(rest: string, sample: number, lineNumber: number, exemplars: ExposedExemplar[]): number {
    const isOpenMetrics = this.#options.format === 'openmetrics'
    const hash = isOpenMetrics ? rest.indexOf('#') : -1
    const time = (hash === -1 ? rest : rest.slice(0, hash)).trim()
    if (hash !== -1) exemplars.push(parseExemplar(rest.slice(hash + 1).trim(), sample, lineNumber))
    if (time === '') return Number.NaN
    const number = Number(time)
    if (Number.isNaN(number) || (!isOpenMetrics && !Number.isInteger(number)))
      throw lineError(lineNumber, `expected a timestamp, got ${JSON.stringify(time.slice(0, 50))}`)
    return isOpenMetrics ? Math.round(number * 1000) : number
  }

  #learn(order: Int32Array<ArrayBuffer>): void {
    this.#order = order
    this.#places = new Int32Array(this.#texts.size).fill(NOWHERE)
    for (let i = 0; i < order.length; i++) this.#places[order[i]!] = i
    const isOldComment = (text: number): boolean => this.#texts.ref(text) < 0 && this.#places[text] === NOWHERE
    let oldComments = 0
    for (let text = 0; text < this.#texts.size; text++) if (isOldComment(text)) oldComments++
    if (oldComments > OLD_COMMENTS_MAX) this.#drop(isOldComment)
  }

  #drop(isGone: (text: number) => boolean): void {
    const { texts, numbers } = this.#texts.without(isGone)
    this.#texts = texts
    this.#learn(this.#order.map((text) => numbers[text]!).filter((text) => text !== NOWHERE))
  }

  #grow(): void {
    const size = this.#outRefs.length * 2
    const refs = new Int32Array(size)
    const values = new Float64Array(size)
    const times = new Float64Array(size)
    refs.set(this.#outRefs)
    values.set(this.#outValues)
    times.set(this.#outTimes)
    this.#outRefs = refs
    this.#outValues = values
    this.#outTimes = times
  }
}

function parseExemplar(text: string, sample: number, lineNumber: number): ExposedExemplar {
  const close = text.lastIndexOf('}')
  if (!text.startsWith('{') || close === -1) throw lineError(lineNumber, 'expected an exemplar')
  const labels = parseSeries(`x${text.slice(0, close + 1)}`)
  const [value, time] = text
    .slice(close + 1)
    .trim()
    .split(/\s+/)
  const number = Number(value)
  if (value === undefined || value === '' || Number.isNaN(number)) throw lineError(lineNumber, 'expected an exemplar value')
  return {
    sample,
    labels: labels.slice(2),
    value: number,
    timestampMs: time === undefined ? Number.NaN : Math.round(Number(time) * 1000),
  }
}

function lineError(lineNumber: number, cause: string): SightlineError {
  return new SightlineError('bad_data', `cannot parse exposition, line ${lineNumber}: ${cause}`)
}

function endOfLine(body: Buffer, at: number): number {
  const end = body.indexOf(10, at)
  return end === -1 ? body.length : end
}

function skipBlanks(body: Buffer, at: number, end: number): number {
  let p = at
  while (p < end && (body[p] === 32 || body[p] === 9 || body[p] === 13)) p++
  return p
}

function endOfToken(body: Buffer, at: number): number {
  let p = at
  while (p < body.length && body[p] !== 32 && body[p] !== 9 && body[p] !== 10 && body[p] !== 13) p++
  return p
}
