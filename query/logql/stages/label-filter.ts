/**
 * Comparisons of labels. A string filter takes an absent label as ''; one that converts drops a line without the label, and where the value
 * doesn't convert keeps the line with `__error__="LabelFilterErr"`; the first error of a line stays. `ip()` keeps every line with an error.
 */
import { compileMatcher } from '../../../lib/regexp/index.ts'
import type { CompareOp, LabelFilter } from '../ast.ts'
import { compileIp } from '../ip.ts'
import { parseBytesText, parseDurationText, parseFloatText } from '../units.ts'
import { ERROR_DETAILS_LABEL, ERROR_LABEL, type Entry } from './entry.ts'
import type { LineStage } from './stage.ts'

export const FILTER_ERROR = 'LabelFilterErr'

type Test = (entry: Entry) => boolean

export function labelFilterStage(filter: LabelFilter): LineStage {
  return { reads: 'labels', process: compileLabelFilter(filter) }
}

export function compileLabelFilter(filter: LabelFilter): Test {
  switch (filter.kind) {
    case 'and': {
      const [left, right] = [compileLabelFilter(filter.left), compileLabelFilter(filter.right)]
      // Both run: the right one may have an error to tell.
      return (entry) => {
        const kept = left(entry)
        return right(entry) && kept
      }
    }
    case 'or': {
      const [left, right] = [compileLabelFilter(filter.left), compileLabelFilter(filter.right)]
      return (entry) => left(entry) || right(entry)
    }
    case 'string': {
      const matcher = compileMatcher(filter.matcher)
      return (entry) => matcher.matches(entry.get(matcher.name) ?? '')
    }
    case 'ip': {
      const ip = compileIp(filter.pattern)
      return (entry) => {
        if (entry.error !== '') return true
        const value = entry.get(filter.name)
        return value !== undefined && ip.matches(value) === (filter.op === '=')
      }
    }
    case 'number':
      return converting(filter.name, filter.op, filter.value, parseFloatText)
    case 'duration':
      return converting(filter.name, filter.op, filter.valueNs, parseDurationText)
    case 'bytes':
      return converting(filter.name, filter.op, filter.value, parseBytesText)
  }
}

function converting(name: string, op: CompareOp, wanted: number, parse: (text: string) => number | string): Test {
  if (name === ERROR_LABEL || name === ERROR_DETAILS_LABEL) return () => false
  return (entry) => {
    const text = entry.get(name)
    if (text === undefined) return false
    const value = parse(text)
    if (typeof value === 'string') {
      entry.fail(FILTER_ERROR, value)
      return true
    }
    switch (op) {
      case '=':
      case '==':
        return value === wanted
      case '!=':
        return value !== wanted
      case '>':
        return value > wanted
      case '>=':
        return value >= wanted
      case '<':
        return value < wanted
      case '<=':
        return value <= wanted
    }
  }
}

/** Labels a filter asks for. */
export function namesIn(filter: LabelFilter): string[] {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return [...namesIn(filter.left), ...namesIn(filter.right)]
    case 'string':
      return [filter.matcher.name]
    default:
      return [filter.name]
  }
}
