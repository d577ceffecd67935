/**
 * The one line a pipeline works on: its bytes, its text once somebody needs it, its labels by where they came from, and the error of a stage.
 *
 * One object serves all lines of a query. Names follow two rules: the name itself belongs to the highest of stream label, structured metadata,
 * parsed field; a value that loses it goes to `<name>_extracted`, where parsed beats metadata. Empty values are labels here (`logfmt --keep-empty`).
 * Source: Loki's `LabelsBuilder`.
 */
import type { Labels } from '../../../lib/model/index.ts'

export const STREAM = 0
export const METADATA = 1
export const PARSED = 2
export type Category = typeof STREAM | typeof METADATA | typeof PARSED

export const ERROR_LABEL = '__error__'
export const ERROR_DETAILS_LABEL = '__error_details__'
export const EXTRACTED_SUFFIX = '_extracted'

export class Entry {
  /** Counts the blocks of lines: bytes seen under one number don't change. */
  block = 0
  timeMs = 0
  subNs = 0
  error = ''
  errorDetails = ''
  /** Labels somebody still asks for; undefined = all. A parser leaves out the rest. */
  wanted: ReadonlySet<string> | undefined

  readonly #names: string[] = []
  readonly #values: string[] = []
  readonly #categories: Category[] = []
  #count = 0

  #bytes: Uint8Array = EMPTY
  #start = 0
  #end = 0
  #text: string | undefined
  #isReplaced = false

  /** A new line with the labels it was stored with. */
  reset(stream: Labels, metadata: Labels, bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    this.#text = undefined
    this.#isReplaced = false
    this.error = ''
    this.errorDetails = ''
    this.#count = 0
    for (let i = 0; i < stream.length; i += 2) this.#push(stream[i]!, stream[i + 1]!, STREAM)
    for (let i = 0; i < metadata.length; i += 2) {
      const name = metadata[i]!
      const value = metadata[i + 1]!
      if (this.#indexOf(name) === -1) this.#push(name, value, METADATA)
      else this.set(`${name}${EXTRACTED_SUFFIX}`, value, METADATA)
    }
  }

  /** Only line and error: where no stage looks at labels. */
  resetLine(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    this.#text = undefined
    this.#isReplaced = false
  }

  get bytes(): Uint8Array {
    this.#encode()
    return this.#bytes
  }

  get start(): number {
    this.#encode()
    return this.#start
  }

  get end(): number {
    this.#encode()
    return this.#end
  }

  get byteLength(): number {
    return this.#isReplaced ? Buffer.byteLength(this.#text!) : this.#end - this.#start
  }

  get isReplaced(): boolean {
    return this.#isReplaced
  }

  /** The line. Decoded once. */
  get text(): string {
    this.#text ??= decode(this.#bytes, this.#start, this.#end)
    return this.#text
  }

  set text(text: string) {
    this.#text = text
    this.#isReplaced = true
  }

  #encode(): void {
    if (!this.#isReplaced) return
    this.#bytes = Buffer.from(this.#text!)
    this.#start = 0
    this.#end = this.#bytes.length
    this.#isReplaced = false
  }

  #push(name: string, value: string, category: Category): void {
    const i = this.#count++
    this.#names[i] = name
    this.#values[i] = value
    this.#categories[i] = category
  }

  #indexOf(name: string): number {
    for (let i = 0; i < this.#count; i++) if (this.#names[i] === name) return i
    return -1
  }

  /** The value of a label, the error's too; undefined where absent. */
  get(name: string): string | undefined {
    const i = this.#indexOf(name)
    if (i !== -1) return this.#values[i]
    if (name === ERROR_LABEL) return this.error
    if (name === ERROR_DETAILS_LABEL) return this.errorDetails
    return undefined
  }

  categoryOf(name: string): Category | undefined {
    const i = this.#indexOf(name)
    return i === -1 ? undefined : this.#categories[i]
  }

  /** Sets a label, whatever category had the name before. */
  set(name: string, value: string, category: Category): void {
    const i = this.#indexOf(name)
    if (i === -1) return this.#push(name, value, category)
    // Metadata gives way to what was parsed.
    if (category === METADATA && this.#categories[i] === PARSED) return
    this.#values[i] = value
    this.#categories[i] = category
  }

  /** The name a parsed field gets; undefined where a field of that name was parsed before (the first wins) or nobody wants it. */
  parsedName(name: string): string | undefined {
    const category = this.categoryOf(name)
    let free = name
    if (category === STREAM || category === METADATA) {
      free = `${name}${EXTRACTED_SUFFIX}`
      if (this.wanted !== undefined && !this.wanted.has(free)) return undefined
      return this.categoryOf(free) === PARSED ? undefined : free
    }
    if (category === PARSED || (this.wanted !== undefined && !this.wanted.has(free))) return undefined
    return free
  }

  /** Adds a parsed field under the name it gets. */
  addParsed(name: string, value: string): void {
    const free = this.parsedName(name)
    if (free !== undefined) this.set(free, value, PARSED)
  }

  delete(name: string): void {
    if (name === ERROR_LABEL) this.error = ''
    else if (name === ERROR_DETAILS_LABEL) this.errorDetails = ''
    const i = this.#indexOf(name)
    if (i === -1) return
    const last = --this.#count
    this.#names[i] = this.#names[last]!
    this.#values[i] = this.#values[last]!
    this.#categories[i] = this.#categories[last]!
  }

  /** Keeps the labels that `keeps` says yes to. */
  retain(keeps: (name: string, value: string) => boolean): void {
    for (let i = this.#count - 1; i >= 0; i--) if (!keeps(this.#names[i]!, this.#values[i]!)) this.delete(this.#names[i]!)
  }

  /** The first error of a line stays: it says why. */
  fail(error: string, details: string): void {
    if (this.error !== '') return
    this.error = error
    this.errorDetails = details
  }

  /** All labels by name, the error's too. */
  toMap(): Map<string, string> {
    const out = new Map<string, string>()
    for (let i = 0; i < this.#count; i++) out.set(this.#names[i]!, this.#values[i]!)
    if (this.error !== '') out.set(ERROR_LABEL, this.error)
    if (this.errorDetails !== '') out.set(ERROR_DETAILS_LABEL, this.errorDetails)
    return out
  }

  /** Sorted labels: those of one category, or all; the error counts as parsed. */
  labels(category?: Category): Labels {
    const order: number[] = []
    for (let i = 0; i < this.#count; i++) if (category === undefined || this.#categories[i] === category) order.push(i)
    order.sort((a, b) => (this.#names[a]! < this.#names[b]! ? -1 : 1))
    const out: string[] = []
    if (this.error !== '' && (category === undefined || category === PARSED)) {
      out.push(ERROR_LABEL, this.error)
      if (this.errorDetails !== '') out.push(ERROR_DETAILS_LABEL, this.errorDetails)
    }
    for (const i of order) out.push(this.#names[i]!, this.#values[i]!)
    return out
  }
}

const EMPTY = new Uint8Array(0)

function decode(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8', start, end)
}
