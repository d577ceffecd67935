/**
 * `| logfmt`: `key=value key2="quoted value" bare`. Bad pairs are left out; with `--strict` the first one stops the line with
 * `__error__="LogfmtParserErr"`. Keys without a value count only with `--keep-empty`. The first of equal keys wins.
 * Source: the rules of Loki's decoder.
 */
import type { Extraction } from '../ast.ts'
import { EXTRACTED_SUFFIX, METADATA, PARSED, STREAM } from './entry.ts'
import { sanitizeName } from './names.ts'
import type { LineStage } from './stage.ts'

export const LOGFMT_ERROR = 'LogfmtParserErr'
const QUOTE = 34
const EQUALS = 61

/** Pairs of a line, one `next` at a time. */
class LogfmtScanner {
  readonly #text: string
  #at = 0
  key = ''
  value = ''
  error = ''

  constructor(text: string) {
    this.#text = text
  }

  /** False at the end. `error` says what is wrong with a pair; it has been skipped. */
  next(): boolean {
    const text = this.#text
    while (this.#at < text.length && text.charCodeAt(this.#at) <= 32) this.#at++
    if (this.#at >= text.length) return false
    this.error = ''
    this.value = ''
    const start = this.#at
    let at = start
    let code = 0
    for (; at < text.length; at++) {
      code = text.charCodeAt(at)
      if (code <= 32 || code === EQUALS || code === QUOTE) break
    }
    this.key = text.slice(start, at)
    this.#at = at
    if (at >= text.length || code <= 32) return true
    if (code === QUOTE || at === start) return this.#fail(at, `unexpected '${text[at]!}'`)
    this.#at = at + 1
    if (text.charCodeAt(this.#at) === QUOTE) return this.#quoted()
    return this.#plain()
  }

  #plain(): boolean {
    const text = this.#text
    const start = this.#at
    let at = start
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code <= 32) break
      if (code === EQUALS || code === QUOTE) return this.#fail(at, `unexpected '${text[at]!}'`)
    }
    this.value = text.slice(start, at)
    this.#at = at
    return true
  }

  #quoted(): boolean {
    const text = this.#text
    const start = this.#at + 1
    let hasEscape = false
    for (let at = start; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code === 92) {
        hasEscape = true
        at++
      } else if (code === QUOTE) {
        this.#at = at + 1
        this.value = text.slice(start, at)
        return hasEscape ? this.#unescape(at) : true
      }
    }
    this.#at = text.length
    this.error = `logfmt syntax error at pos ${text.length + 1} : unterminated quoted value`
    return true
  }

  #unescape(at: number): boolean {
    try {
      this.value = JSON.parse(`"${this.value.replaceAll('\t', '\\t').replaceAll('\n', '\\n')}"`) as string
      return true
    } catch {
      return this.#fail(at, 'invalid quoted value')
    }
  }

  #fail(at: number, why: string): boolean {
    this.error = `logfmt syntax error at pos ${at + 1} : ${why}`
    const text = this.#text
    this.#at = at
    while (this.#at < text.length && text.charCodeAt(this.#at) > 32) this.#at++
    return true
  }
}

export interface LogfmtOptions {
  readonly strict: boolean
  readonly keepEmpty: boolean
  readonly expressions: readonly Extraction[]
}

export function logfmtStage({ strict, keepEmpty, expressions }: LogfmtOptions): LineStage {
  if (expressions.length > 0) return logfmtExpressionStage(strict, keepEmpty, expressions)
  return {
    reads: 'both',
    process(entry) {
      if (entry.wanted?.size === 0) return true
      const scanner = new LogfmtScanner(entry.text)
      while (scanner.next()) {
        if (scanner.error !== '') {
          if (!strict) continue
          entry.fail(LOGFMT_ERROR, scanner.error)
          return true
        }
        if (scanner.value === '' && !keepEmpty) continue
        const name = sanitizeName(scanner.key)
        if (name !== '') entry.addParsed(name, scanner.value.includes('\ufffd') ? scanner.value.replaceAll('\ufffd', '') : scanner.value)
      }
      return true
    },
  }
}

/** `| logfmt name="key"`: only those keys; one that is missing gives an empty label, as of Loki's expression parser. */
function logfmtExpressionStage(strict: boolean, keepEmpty: boolean, expressions: readonly Extraction[]): LineStage {
  return {
    reads: 'both',
    process(entry) {
      if (entry.wanted?.size === 0) return true
      const scanner = new LogfmtScanner(entry.text)
      const found = new Map<string, string>()
      while (scanner.next()) {
        if (scanner.error !== '') {
          if (!strict) continue
          entry.fail(LOGFMT_ERROR, scanner.error)
          return true
        }
        const key = sanitizeName(scanner.key)
        if ((scanner.value !== '' || keepEmpty) && !found.has(key)) found.set(key, scanner.value)
      }
      for (const { name, expression } of expressions) {
        const value = found.get(sanitizeName(expression))
        const category = entry.categoryOf(name)
        const isTaken = category === STREAM || category === METADATA
        if (value !== undefined) entry.set(isTaken ? `${name}${EXTRACTED_SUFFIX}` : name, value, PARSED)
        else if (category === undefined) entry.set(name, '', PARSED)
      }
      return true
    },
  }
}
