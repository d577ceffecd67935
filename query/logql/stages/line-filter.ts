/** `|=`, `!=`, `|~`, `!~`, `|>`, `!>`, with `or` and `ip()`. Plain texts are looked for in the bytes of a whole block at once. */
import { compileRegexp } from '../../../lib/regexp/index.ts'
import type { LineOp, Stage } from '../ast.ts'
import { compileIp } from '../ip.ts'
import { compilePatternFilter } from '../line-pattern.ts'
import { plainText, requiredText } from '../line-regexp.ts'
import type { Entry } from './entry.ts'
import type { LineStage } from './stage.ts'

type LineFilter = Extract<Stage, { kind: 'line' }>
type Test = (entry: Entry) => boolean

export function compileLineFilter({ op, alternatives }: LineFilter): LineStage {
  const tests = alternatives.map(({ text, isIp }) => (isIp ? ipTest(text) : testOf(op, text)))
  const isPositive = op === '|=' || op === '|~' || op === '|>'
  return { reads: 'line', process: (entry) => tests.some((test) => test(entry)) === isPositive }
}

/** Texts that every line the filter keeps holds, byte for byte. */
export function needlesOf({ op, alternatives }: LineFilter): string[] {
  const only = alternatives.length === 1 ? alternatives[0]! : undefined
  if (only === undefined || only.isIp) return []
  if (op === '|=') return only.text === '' || !only.text.isWellFormed() ? [] : [only.text]
  if (op === '|>') return compilePatternFilter(only.text).literals.filter((text) => text.trim() !== '' && text.isWellFormed())
  if (op !== '|~') return []
  const text = plainText(only.text) ?? requiredText(only.text)
  return text === '' ? [] : [text]
}

/** True where the needles alone decide: then the store has already filtered. */
export function isNeedleOnly(stage: LineFilter): boolean {
  const only = stage.alternatives.length === 1 ? stage.alternatives[0]! : undefined
  if (only === undefined || only.isIp) return false
  return (stage.op === '|=' && (only.text === '' || only.text.isWellFormed())) || (stage.op === '|~' && plainText(only.text) !== undefined)
}

function ipTest(pattern: string): Test {
  const ip = compileIp(pattern)
  return (entry) => ip.matches(entry.text)
}

function testOf(op: LineOp, text: string): Test {
  if (op === '|=' || op === '!=') return containsTest(text)
  if (op === '|>' || op === '!>') {
    const pattern = compilePatternFilter(text)
    return (entry) => pattern.test(entry.text)
  }
  const regexp = compileRegexp(text)
  const plain = plainText(text)
  if (plain !== undefined) return containsTest(plain)
  const required = requiredText(text)
  if (required === '') return (entry) => regexp.test(entry.text)
  const mayMatch = containsTest(required)
  return (entry) => mayMatch(entry) && regexp.test(entry.text)
}

/**
 * Looks once for the text in all bytes from the line on: until the place where it is found, no line holds it. Lines that come
 * from behind (newest first) are searched one by one.
 */
function containsTest(text: string): Test {
  if (text === '') return () => true
  const needle = Buffer.from(text)
  let block = -1
  let blockBytes: Uint8Array | undefined
  let view: Buffer = needle
  /** The text is not in [clearFrom, clearTo), and where clearTo is in the block, it begins there. */
  let clearFrom = 0
  let clearTo = 0
  return (entry) => {
    if (entry.isReplaced) return entry.text.includes(text)
    const { bytes, start, end } = entry
    if (entry.block !== block || bytes !== blockBytes) {
      block = entry.block
      blockBytes = bytes
      view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      clearFrom = clearTo = 0
    }
    if (start >= clearFrom && start <= clearTo && clearTo > clearFrom) return clearTo + needle.length <= end
    if (start < clearFrom) return view.subarray(start, end).includes(needle)
    const found = view.indexOf(needle, start)
    clearFrom = start
    clearTo = found === -1 ? view.length : found
    return found !== -1 && found + needle.length <= end
  }
}
