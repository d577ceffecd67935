/**
 * IP addresses in text: `ip("10.0.0.1")`, `ip("10.0.0.0/8")`, `ip("10.0.0.1-10.0.0.9")`, version 4 or 6.
 *
 * An address is 16 bytes as one string of 16 code units, so that comparing is ordering; version 4 lies in ::ffff:0:0/96.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { SightlineError } from '../../lib/runtime/errors.ts'

export interface IpMatcher {
  /** Whether the text holds an address that matches. */
  matches(text: string): boolean
}

export function compileIp(pattern: string): IpMatcher {
  const range = rangeOf(pattern)
  if (range === undefined) throw new SightlineError('bad_data', `ip: invalid pattern: ${pattern}`)
  return { matches: (text) => anyAddress(text, range) }
}

interface Range {
  readonly first: string
  readonly last: string
  readonly isV4: boolean
}

function rangeOf(pattern: string): Range | undefined {
  const slash = pattern.indexOf('/')
  if (slash !== -1) return cidr(pattern.slice(0, slash), pattern.slice(slash + 1))
  const dash = pattern.indexOf('-')
  if (dash !== -1) {
    const [first, last] = [addressOf(pattern.slice(0, dash).trim()), addressOf(pattern.slice(dash + 1).trim())]
    const isV4 = isIPv4(pattern.slice(0, dash).trim())
    return first === undefined || last === undefined || last < first || isV4 !== isIPv4(pattern.slice(dash + 1).trim())
      ? undefined
      : { first, last, isV4 }
  }
  const only = addressOf(pattern)
  return only === undefined ? undefined : { first: only, last: only, isV4: isIPv4(pattern) }
}

function cidr(text: string, bitsText: string): Range | undefined {
  const address = addressOf(text)
  const isV4 = isIPv4(text)
  const bits = Number(bitsText)
  if (address === undefined || !/^\d+$/.test(bitsText) || bits > (isV4 ? 32 : 128)) return undefined
  const kept = isV4 ? 96 + bits : bits
  const edge = (fill: number): string =>
    String.fromCharCode(
      ...Array.from(address, (ch, i) => {
        const mask = (0xff << Math.min(8, Math.max(0, (i + 1) * 8 - kept))) & 0xff
        return (ch.charCodeAt(0) & mask) | (fill & ~mask & 0xff)
      }),
    )
  return { first: edge(0), last: edge(0xff), isV4 }
}

function addressOf(text: string): string | undefined {
  if (isIPv4(text)) return `${'\0'.repeat(10)}\u00ff\u00ff${String.fromCharCode(...text.split('.').map(Number))}`
  if (!isIPv6(text) || text.includes('%')) return undefined
  let body = text
  const lastColon = body.lastIndexOf(':')
  if (body.includes('.')) {
    const [a, b, c, d] = body
      .slice(lastColon + 1)
      .split('.')
      .map(Number) as [number, number, number, number]
    body = `${body.slice(0, lastColon + 1)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  }
  const [head, tail] = body.split('::') as [string, string | undefined]
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => '0'), ...right]
  return String.fromCharCode(...groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]))
}

const CANDIDATE_V4 = /\d{1,3}(?:\.\d{1,3}){3}/g
const CANDIDATE_V6 = /[0-9a-fA-F:]{2,39}(?:\d{1,3}(?:\.\d{1,3}){3})?/g

/** Both patterns are ours and can't run longer than the text is. */
function anyAddress(text: string, range: Range): boolean {
  if (range.isV4 ? !text.includes('.') : !text.includes(':')) return false
  for (const [candidate] of text.matchAll(range.isV4 ? CANDIDATE_V4 : CANDIDATE_V6)) {
    if (range.isV4 ? !isIPv4(candidate) : !isIPv6(candidate)) continue
    const address = addressOf(candidate)
    if (address !== undefined && address >= range.first && address <= range.last) return true
  }
  return false
}
