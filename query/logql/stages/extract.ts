/** `| regexp`, `| pattern`, `| decolorize`. */
import { compileRegexp } from '../../../lib/regexp/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import { compilePatternParser } from '../line-pattern.ts'
import { EXTRACTED_SUFFIX, METADATA, PARSED, STREAM, type Entry } from './entry.ts'
import type { LineStage } from './stage.ts'

/** Captures overwrite what an earlier parser found, but never what was stored. */
function addCapture(entry: Entry, name: string, value: string): void {
  const category = entry.categoryOf(name)
  const target = category === STREAM || category === METADATA ? `${name}${EXTRACTED_SUFFIX}` : name
  if (entry.wanted === undefined || entry.wanted.has(target)) entry.set(target, value, PARSED)
}

export function regexpStage(pattern: string): LineStage {
  const regexp = compileRegexp(pattern)
  const names = [...pattern.matchAll(/\(\?P?<([^>]*)>/g)].map((match) => match[1]!)
  if (names.length === 0 || regexp.groupNames.size === 0)
    throw new SightlineError('bad_data', 'at least one named capture must be supplied')
  const duplicate = names.find((name, i) => names.indexOf(name) !== i)
  if (duplicate !== undefined) throw new SightlineError('bad_data', `duplicate extracted label name '${duplicate}'`)
  const invalid = names.find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
  if (invalid !== undefined) throw new SightlineError('bad_data', `invalid extracted label name '${invalid}'`)
  return {
    reads: 'both',
    process(entry) {
      if (entry.wanted?.size === 0) return true
      const groups = regexp.exec(entry.text)
      if (groups === null) return true
      for (const [name, group] of regexp.groupNames) addCapture(entry, name, groups[group] ?? '')
      return true
    },
  }
}

export function patternStage(pattern: string): LineStage {
  const parse = compilePatternParser(pattern)
  return {
    reads: 'both',
    process(entry) {
      if (entry.wanted?.size !== 0) parse(entry.text, (name, value) => addCapture(entry, name, value))
      return true
    },
  }
}

// eslint-disable-next-line no-control-regex
const ANSI = /\u001b\[[\d;?]*[ -/]*[@-~]/g

export function decolorizeStage(): LineStage {
  return {
    reads: 'both',
    process(entry) {
      const { text } = entry
      if (text.includes('\u001b')) entry.text = text.replaceAll(ANSI, '')
      return true
    },
  }
}
