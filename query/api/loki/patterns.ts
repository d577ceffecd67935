/**
 * Patterns of lines, from a sample: words that carry a digit, or look like an id, a number or a quoted value, become `<_>`; lines with the same rest are one pattern.
 * Simple on purpose: no pattern is learnt from more lines than the sample has. What comes out can be used with `|>`.
 */
import type { LogLines } from '../../logql/index.ts'
import { labelValue } from '../../../lib/model/index.ts'

export interface LinePattern {
  readonly pattern: string
  readonly level: string
  readonly samples: readonly (readonly [number, number])[]
}

const PATTERNS_MAX = 300
const LINE_CHARS_MAX = 500
/** Different patterns kept while mining. */
const CANDIDATES_MAX = 10_000

/** Most frequent first. `stepMs` is the width of a sample's bucket. */
export function minePatterns(lines: LogLines, stepMs: number): LinePattern[] {
  const found = new Map<string, { pattern: string; level: string; total: number; buckets: Map<number, number> }>()
  const text = Buffer.from(lines.lineBytes.buffer, lines.lineBytes.byteOffset, lines.lineBytes.byteLength)
  for (let i = 0; i < lines.count; i++) {
    const pattern = patternOf(text.toString('utf8', lines.lineStart[i], lines.lineStart[i + 1]))
    const level = labelValue(lines.sets[lines.metadata[i]!]!, 'detected_level')
    const key = `${level} ${pattern}`
    let one = found.get(key)
    if (one === undefined) {
      if (found.size >= CANDIDATES_MAX) continue
      found.set(key, (one = { pattern, level, total: 0, buckets: new Map() }))
    }
    const bucket = Math.floor(lines.timeMs[i]! / stepMs) * stepMs
    one.total++
    one.buckets.set(bucket, (one.buckets.get(bucket) ?? 0) + 1)
  }
  return [...found.values()]
    .filter(({ pattern }) => /\p{L}/u.test(pattern.replaceAll('<_>', '')))
    .sort((a, b) => b.total - a.total)
    .slice(0, PATTERNS_MAX)
    .map(({ pattern, level, buckets }) => ({
      pattern,
      level,
      samples: [...buckets].sort(([a], [b]) => a - b).map(([ms, count]) => [Math.floor(ms / 1000), count] as const),
    }))
}

export function patternOf(line: string): string {
  const isCut = line.length > LINE_CHARS_MAX
  const words = (isCut ? line.slice(0, LINE_CHARS_MAX) : line)
    .replaceAll(/"[^"]*"/g, (quoted) => (/\d/.test(quoted) ? '"<_>"' : quoted))
    .replaceAll(/[^\s"=,:;()[\]{}<>|]+/g, (word) => (/\d/.test(word) ? '<_>' : word))
  const joined = words.replaceAll(/<_>(?:[.:/-]?<_>)+/g, '<_>')
  return isCut && !joined.endsWith('<_>') ? `${joined}<_>` : joined
}
