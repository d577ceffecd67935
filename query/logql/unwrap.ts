/** `| unwrap`: a label's value as the sample's; a line without the label is no sample, one that doesn't convert carries `__error__="SampleExtractionErr"`. */
import type { Unwrap } from './ast.ts'
import { compileLabelFilter, type Entry } from './stages/index.ts'
import { parseBytesText, parseDurationText, parseFloatText } from './units.ts'

/** Undefined drops the line. */
export type SampleReader = (entry: Entry) => number | undefined

const SECONDS = (text: string): number | string => {
  const ns = parseDurationText(text)
  return typeof ns === 'string' ? ns : ns / 1e9
}

export function compileUnwrap(unwrap: Unwrap | undefined): SampleReader {
  if (unwrap === undefined) return () => 1
  const { label, convert } = unwrap
  const parse = convert === '' ? parseFloatText : convert === 'bytes' ? parseBytesText : SECONDS
  const filters = unwrap.filters.map(compileLabelFilter)
  return (entry) => {
    const text = entry.get(label)
    if (text === undefined) return undefined
    let value = parse(text)
    if (typeof value === 'string') {
      entry.fail('SampleExtractionErr', value)
      value = 0
    }
    for (const filter of filters) if (!filter(entry)) return undefined
    return value
  }
}
