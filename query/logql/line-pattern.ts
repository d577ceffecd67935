/**
 * Loki's patterns: literals with captures between, `<_> GET <path>`. As a parser (`pattern`) they fill captures, as a line filter (`|>`) every
 * capture must be `<_>`.
 */
import { SightlineError } from '../../lib/runtime/errors.ts'

type Node = { readonly literal: string } | { readonly capture: string }

const CAPTURE = /<([A-Za-z_][A-Za-z0-9_]*)>/g

function nodesOf(pattern: string): Node[] {
  const nodes: Node[] = []
  let from = 0
  for (const match of pattern.matchAll(CAPTURE)) {
    if (match.index > from) nodes.push({ literal: pattern.slice(from, match.index) })
    nodes.push({ capture: match[1]! })
    from = match.index + match[0].length
  }
  if (from < pattern.length) nodes.push({ literal: pattern.slice(from) })
  return nodes
}

function invalid(pattern: string, why: string): SightlineError {
  return new SightlineError('bad_data', `invalid pattern ${JSON.stringify(pattern)}: ${why}`)
}

function checkNeighbours(pattern: string, nodes: readonly Node[]): void {
  for (let i = 1; i < nodes.length; i++) {
    const [before, here] = [nodes[i - 1]!, nodes[i]!]
    if ('capture' in before && 'capture' in here) {
      throw invalid(pattern, `found consecutive capture '<${before.capture}><${here.capture}>'`)
    }
  }
}

/** Calls `onCapture` for each named capture the line fills. Errors: bad_data for an invalid pattern. */
export function compilePatternParser(pattern: string): (line: string, onCapture: (name: string, value: string) => void) => void {
  const nodes = nodesOf(pattern)
  const named = nodes.flatMap((node) => ('capture' in node && node.capture !== '_' ? [node.capture] : []))
  if (named.length === 0) throw invalid(pattern, 'at least one capture is required')
  checkNeighbours(pattern, nodes)
  const duplicate = named.find((name, i) => named.indexOf(name) !== i)
  if (duplicate !== undefined) throw invalid(pattern, `duplicate capture name (${duplicate})`)
  return (line, onCapture) => {
    if (line === '') return
    let at = 0
    let next = 0
    const first = nodes[0]!
    if ('literal' in first) {
      if (!line.startsWith(first.literal)) return
      at = first.literal.length
      next = 1
    }
    while (next < nodes.length) {
      const { capture } = nodes[next] as { capture: string }
      const literal = nodes[next + 1] as { literal: string } | undefined
      const end = literal === undefined ? -1 : line.indexOf(literal.literal, at)
      const value = end === -1 ? line.slice(at) : line.slice(at, end)
      if (capture !== '_') onCapture(capture, value)
      if (end === -1) return
      at = end + literal!.literal.length
      next += 2
    }
  }
}

/** Whether a whole line is of the pattern. Errors: bad_data for an invalid pattern. */
export function compilePatternFilter(pattern: string): { test: (line: string) => boolean; literals: readonly string[] } {
  const nodes = nodesOf(pattern)
  if (nodes.some((node) => 'capture' in node && node.capture !== '_')) throw invalid(pattern, 'named captures are not allowed')
  checkNeighbours(pattern, nodes)
  const literals = nodes.flatMap((node) => ('literal' in node ? [node.literal] : []))
  const first = nodes[0]
  const isStart = first !== undefined && 'literal' in first
  const last = nodes.at(-1)
  const isEnd = last !== undefined && 'literal' in last
  const test = (line: string): boolean => {
    if (line === '' || nodes.length === 0) return line === '' && nodes.length === 0
    let at = 0
    for (let i = 0; i < literals.length; i++) {
      const found = line.indexOf(literals[i]!, at)
      if (found === -1 || (i === 0 && isStart && found !== 0)) return false
      at = found + literals[i]!.length
    }
    return !isEnd || at === line.length
  }
  return { test, literals }
}
