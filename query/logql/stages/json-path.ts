/** `| json name="path"`: single values out of a JSON line by path: `user.id`, `tags[0]`, `["a b"].c`. A path that leads nowhere gives an empty label. */
import { parseError } from '../errors.ts'
import type { Extraction } from '../ast.ts'
import { unquote } from '../strings.ts'
import { PARSED, STREAM, METADATA, EXTRACTED_SUFFIX } from './entry.ts'
import { JSON_ERROR, JsonScanner } from './json.ts'
import type { LineStage } from './stage.ts'

type Path = readonly (string | number)[]

const STEP = /\.?([A-Za-z_][A-Za-z0-9_-]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]/y

/** Errors: bad_data "cannot parse expression". */
export function parsePath(expression: string): Path {
  const path: (string | number)[] = []
  for (let at = 0; at < expression.length;) {
    STEP.lastIndex = at
    const step = STEP.exec(expression)
    const isDotted = expression[at] === '.'
    if (step === null || (step[1] !== undefined && isDotted === (path.length === 0)))
      throw parseError(expression, `cannot parse expression [${expression}]: syntax error: unexpected character at ${at}`)
    path.push(step[1] ?? (step[2] === undefined ? unquote(step[3]!) : Number(step[2])))
    at = STEP.lastIndex
  }
  if (path.length === 0) throw parseError(expression, `cannot parse expression [${expression}]: syntax error: unexpected $end`)
  return path
}

export function jsonPathStage(expressions: readonly Extraction[]): LineStage {
  const paths = expressions.map(({ name, expression }) => ({ name, path: parsePath(expression) }))
  const scanner = new JsonScanner()
  return {
    reads: 'both',
    process(entry) {
      const { wanted } = entry
      if (entry.start === entry.end || wanted?.size === 0) return true
      for (const { name, path } of paths) {
        scanner.reset(entry.bytes, entry.start, entry.end)
        const first = scanner.peek()
        if (first !== 123 && first !== 91) {
          entry.fail(JSON_ERROR, '')
          return true
        }
        const category = entry.categoryOf(name)
        const isTaken = category === STREAM || category === METADATA
        const value = valueAt(scanner, path)
        if (value !== undefined) entry.set(isTaken ? `${name}${EXTRACTED_SUFFIX}` : name, value, PARSED)
        else if (entry.get(name) === undefined) entry.set(name, '', PARSED)
      }
      return true
    },
  }
}

function valueAt(scanner: JsonScanner, path: Path): string | undefined {
  for (const step of path) if (!(typeof step === 'number' ? toItem(scanner, step) : toField(scanner, step))) return undefined
  const first = scanner.peek()
  if (first === 34) return scanner.string()
  const text = scanner.raw()
  return text === 'null' ? '' : text
}

function toField(scanner: JsonScanner, name: string): boolean {
  if (!scanner.take(123)) return false
  while (scanner.peek() === 34) {
    const key = scanner.string()
    if (!scanner.take(58)) return false
    if (key === name) return true
    if (!scanner.skip() || !scanner.take(44)) return false
  }
  return false
}

function toItem(scanner: JsonScanner, index: number): boolean {
  if (!scanner.take(91) || scanner.peek() === 93) return false
  for (let i = 0; i < index; i++) if (!scanner.skip() || !scanner.take(44)) return false
  return true
}
