/**
 * Durations in the two notations of the field: Prometheus' (`1h30m`, `5m`, `100ms`, `1y`) and Go's (`1m0s`, `1.5h`, `300us`).
 */
const PROMETHEUS = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/
const PROMETHEUS_UNITS_MS = [365 * 86_400_000, 7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1_000, 1]
const GO_PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y
const GO_UNITS_NS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 }

/** Milliseconds of a Prometheus duration; undefined where the text is none. `0` needs no unit. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0
  if (text === '') return undefined
  const match = PROMETHEUS.exec(text)
  if (match === null) return undefined
  let ms = 0
  for (let i = 0; i < PROMETHEUS_UNITS_MS.length; i++) ms += Number(match[i + 1] ?? 0) * PROMETHEUS_UNITS_MS[i]!
  return ms
}

/** Nanoseconds of a Go duration (`-1.5h`, `1m0s`, `0`); undefined where the text is none. */
export function parseGoDuration(text: string): number | undefined {
  const negative = text.startsWith('-')
  const body = negative || text.startsWith('+') ? text.slice(1) : text
  if (body === '0') return 0
  let ns = 0
  let at = 0
  while (at < body.length) {
    GO_PART.lastIndex = at
    const match = GO_PART.exec(body)
    if (match === null) return undefined
    ns += Number(match[1]) * GO_UNITS_NS[match[2]!]!
    at = GO_PART.lastIndex
  }
  if (at === 0) return undefined
  return negative ? -ns : ns
}

/** A Prometheus duration from milliseconds: `90_000` → `1m30s`, `0` → `0s`. Years and weeks only where they come out even. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s'
  let rest = Math.abs(ms)
  let out = ms < 0 ? '-' : ''
  const units: readonly [string, number, boolean][] = [
    ['y', PROMETHEUS_UNITS_MS[0]!, true],
    ['w', PROMETHEUS_UNITS_MS[1]!, true],
    ['d', PROMETHEUS_UNITS_MS[2]!, false],
    ['h', PROMETHEUS_UNITS_MS[3]!, false],
    ['m', PROMETHEUS_UNITS_MS[4]!, false],
    ['s', PROMETHEUS_UNITS_MS[5]!, false],
    ['ms', 1, false],
  ]
  for (const [unit, size, exact] of units) {
    if (exact && rest % size !== 0) continue
    const count = Math.floor(rest / size)
    if (count > 0) {
      out += `${count}${unit}`
      rest -= count * size
    }
  }
  return out
}
