/** Units by their UCUM code, as words. Source: the Prometheus OTLP translator. */
const UNITS: Readonly<Record<string, string>> = {
  d: 'days',
  h: 'hours',
  min: 'minutes',
  s: 'seconds',
  ms: 'milliseconds',
  us: 'microseconds',
  ns: 'nanoseconds',
  By: 'bytes',
  KiBy: 'kibibytes',
  MiBy: 'mebibytes',
  GiBy: 'gibibytes',
  TiBy: 'tibibytes',
  KBy: 'kilobytes',
  MBy: 'megabytes',
  GBy: 'gigabytes',
  TBy: 'terabytes',
  m: 'meters',
  V: 'volts',
  A: 'amperes',
  J: 'joules',
  W: 'watts',
  g: 'grams',
  Cel: 'celsius',
  Hz: 'hertz',
  '1': '',
  '%': 'percent',
}

const PER_UNITS: Readonly<Record<string, string>> = {
  s: 'second',
  m: 'minute',
  h: 'hour',
  d: 'day',
  w: 'week',
  mo: 'month',
  y: 'year',
}

export type NameKind = 'counter' | 'gauge' | 'other'

/**
 * The Prometheus name of an OTLP metric: `http.server.request.duration` in `s` is `http_server_request_duration_seconds`, a counter
 * `requests` is `requests_total`, a gauge in `1` ends in `_ratio`. A unit in braces says nothing. '' where no character is left.
 * Source: `BuildCompliantMetricName` of the Prometheus OTLP translator, with suffixes.
 */
export function metricNameOf(name: string, unit: string, kind: NameKind): string {
  let words = name.split(/[^A-Za-z0-9:]+/).filter((word) => word !== '')
  const { main, per } = unitWords(unit)
  if (main !== '' && !words.includes(main)) words.push(main)
  if (per !== '' && !words.includes(per)) words.push('per', per)
  if (kind === 'counter') words = [...words.filter((word) => word !== 'total'), 'total']
  if (kind === 'gauge' && unit === '1') words = [...words.filter((word) => word !== 'ratio'), 'ratio']
  const joined = words.join('_')
  return /^[0-9]/.test(joined) ? `_${joined}` : joined
}

/** The unit as words: `By/s` is `bytes` per `second`. */
export function unitWords(unit: string): { main: string; per: string } {
  const slash = unit.indexOf('/')
  const main = (slash === -1 ? unit : unit.slice(0, slash)).trim()
  const per = slash === -1 ? '' : unit.slice(slash + 1).trim()
  return { main: wordOf(main, UNITS), per: wordOf(per, PER_UNITS) }
}

function wordOf(code: string, table: Readonly<Record<string, string>>): string {
  if (code === '' || /[{}]/.test(code)) return ''
  const word = Object.hasOwn(table, code) ? table[code]! : code
  return word
    .replace(/[^A-Za-z0-9:]+/g, '_')
    .replace(/_+/g, '_')
    .replace(/^_|_$/g, '')
}

/** A bound or quantile as `le` and `quantile` have it: never with an exponent. */
export function boundText(value: number): string {
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  const short = String(value)
  if (!short.includes('e')) return short
  const [digits, exponent] = short.split('e')
  const power = Number(exponent)
  const sign = digits!.startsWith('-') ? '-' : ''
  const [whole, fraction = ''] = digits!.replace('-', '').split('.')
  if (power >= 0) return `${sign}${whole}${fraction.padEnd(power, '0')}`
  return `${sign}0.${'0'.repeat(-power - 1)}${whole}${fraction}`
}
