/** Go's reference-time layouts (`2006-01-02T15:04:05.000Z07:00`), written and read, in UTC or a named zone. */
const PART = /January|Jan|Monday|Mon|2006|01|02|03|04|05|06|15|_2|Z07:00|Z0700|-07:00|-0700|-07|MST|PM|pm|[.,]0+|[.,]9+|1|2|3|4|5/g
const MONTHS = 'January February March April May June July August September October November December'.split(' ')
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ')

const two = (n: number): string => String(n).padStart(2, '0')

export function zoneOffsetMinutes(zone: string, ms: number): number {
  if (zone === '' || zone === 'UTC' || zone === 'Local') return 0
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  }).formatToParts(ms)
  const at = (type: string): number => Number(parts.find((part) => part.type === type)?.value)
  const local = Date.UTC(at('year'), at('month') - 1, at('day'), at('hour'), at('minute'), at('second'))
  return Math.round((local - Math.floor(ms / 1000) * 1000) / 60_000)
}

function offsetText(minutes: number, separator: string): string {
  const size = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${separator}${two(size % 60)}`
}

/** `subNs` are the nanoseconds below the millisecond. */
export function formatDate(layout: string, ms: number, subNs: number, zone = 'UTC'): string {
  const offset = zoneOffsetMinutes(zone, ms)
  const at = new Date(ms + offset * 60_000)
  const hour = at.getUTCHours()
  const fraction = `${String(((ms % 1000) + 1000) % 1000).padStart(3, '0')}${String(subNs).padStart(6, '0')}`
  const write: Readonly<Record<string, () => string>> = {
    January: () => MONTHS[at.getUTCMonth()]!,
    Jan: () => MONTHS[at.getUTCMonth()]!.slice(0, 3),
    Monday: () => DAYS[at.getUTCDay()]!,
    Mon: () => DAYS[at.getUTCDay()]!.slice(0, 3),
    2006: () => String(at.getUTCFullYear()).padStart(4, '0'),
    '06': () => two(at.getUTCFullYear() % 100),
    '01': () => two(at.getUTCMonth() + 1),
    1: () => String(at.getUTCMonth() + 1),
    '02': () => two(at.getUTCDate()),
    _2: () => String(at.getUTCDate()).padStart(2),
    2: () => String(at.getUTCDate()),
    15: () => two(hour),
    '03': () => two(hour % 12 || 12),
    3: () => String(hour % 12 || 12),
    '04': () => two(at.getUTCMinutes()),
    4: () => String(at.getUTCMinutes()),
    '05': () => two(at.getUTCSeconds()),
    5: () => String(at.getUTCSeconds()),
    PM: () => (hour < 12 ? 'AM' : 'PM'),
    pm: () => (hour < 12 ? 'am' : 'pm'),
    MST: () => (offset === 0 ? 'UTC' : offsetText(offset, '')),
    'Z07:00': () => (offset === 0 ? 'Z' : offsetText(offset, ':')),
    Z0700: () => (offset === 0 ? 'Z' : offsetText(offset, '')),
    '-07:00': () => offsetText(offset, ':'),
    '-0700': () => offsetText(offset, ''),
    '-07': () => offsetText(offset, '').slice(0, 3),
  }
  return layout.replace(PART, (part) => {
    if (part[0] !== '.' && part[0] !== ',') return write[part]!()
    const digits = fraction.slice(0, part.length - 1)
    if (part[1] === '0') return `${part[0]}${digits}`
    const short = digits.replace(/0+$/, '')
    return short === '' ? '' : `${part[0]}${short}`
  })
}

const READ: Readonly<Record<string, string>> = {
  January: '(?<monthName>[A-Za-z]+)',
  Jan: '(?<monthName>[A-Za-z]{3})',
  Monday: '[A-Za-z]+',
  Mon: '[A-Za-z]{3}',
  2006: '(?<year>\\d{4})',
  '06': '(?<shortYear>\\d{2})',
  '01': '(?<month>\\d{2})',
  1: '(?<month>\\d{1,2})',
  '02': '(?<day>\\d{2})',
  _2: ' ?(?<day>\\d{1,2})',
  2: '(?<day>\\d{1,2})',
  15: '(?<hour>\\d{2})',
  '03': '(?<hour>\\d{2})',
  3: '(?<hour>\\d{1,2})',
  '04': '(?<minute>\\d{2})',
  4: '(?<minute>\\d{1,2})',
  '05': '(?<second>\\d{2})(?:[.,](?<fraction>\\d{1,9}))?',
  5: '(?<second>\\d{1,2})(?:[.,](?<fraction>\\d{1,9}))?',
  PM: '(?<half>AM|PM)',
  pm: '(?<half>am|pm)',
  MST: '[A-Z]{3,4}',
  'Z07:00': '(?<offset>Z|[+-]\\d{2}:\\d{2})',
  Z0700: '(?<offset>Z|[+-]\\d{4})',
  '-07:00': '(?<offset>[+-]\\d{2}:\\d{2})',
  '-0700': '(?<offset>[+-]\\d{4})',
  '-07': '(?<offset>[+-]\\d{2})',
}

/** Unix milliseconds; undefined where the text isn't of the layout. */
export function parseDate(layout: string, text: string, zone = 'UTC'): number | undefined {
  let pattern = ''
  let from = 0
  for (const match of layout.matchAll(PART)) {
    pattern += escape(layout.slice(from, match.index)) + (READ[match[0]] ?? '')
    from = match.index + match[0].length
  }
  const names = [...pattern.matchAll(/\(\?<(\w+)>/g)].map((match) => match[1]!)
  if (new Set(names).size !== names.length) return undefined
  // The pattern is built from fixed parts and escaped text: bounded repetition only.
  const groups = new RegExp(`^${pattern}${escape(layout.slice(from))}$`).exec(text)?.groups
  if (groups === undefined) return undefined
  const year =
    groups['year'] ?? (groups['shortYear'] === undefined ? '0000' : `${Number(groups['shortYear']) < 69 ? 20 : 19}${groups['shortYear']}`)
  const named = MONTHS.findIndex((month) => groups['monthName'] !== undefined && month.startsWith(groups['monthName']))
  const month = groups['month'] === undefined ? Math.max(0, named) : Number(groups['month']) - 1
  const isLate = groups['half']?.toUpperCase() === 'PM'
  const hour = groups['half'] === undefined ? Number(groups['hour'] ?? 0) : (Number(groups['hour'] ?? 0) % 12) + (isLate ? 12 : 0)
  const ms = Number(`0.${groups['fraction'] ?? '0'}`) * 1000
  const local = new Date(0)
  local.setUTCFullYear(Number(year), month, Number(groups['day'] ?? 1))
  local.setUTCHours(hour, Number(groups['minute'] ?? 0), Number(groups['second'] ?? 0), ms)
  const at = local.getTime()
  const offset = groups['offset']
  if (offset === undefined) return at - zoneOffsetMinutes(zone, at) * 60_000
  if (offset === 'Z') return at
  const digits = offset.replaceAll(/\D/g, '').padEnd(4, '0')
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2))
  return at - (offset[0] === '-' ? -minutes : minutes) * 60_000
}

function escape(text: string): string {
  return text.replaceAll(/[\\.+*?()|[\]{}^$]/g, '\\$&')
}
