/** Times in templates: the methods of Go's `time.Time` that alert templates use. Everything is UTC. */
import { SightlineError } from '../../lib/runtime/errors.ts'

function text(value: unknown): string {
  if (typeof value === 'string') return value
  throw new SightlineError('bad_data', 'Format takes a layout')
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December']
const LAYOUT = /January|Jan|Monday|Mon|2006|MST|Z07:00|-07:00|-0700|15|03|3|04|4|05|5|01|1|02|_2|2|06|PM|pm|\.0+|\.9+/g

export function timeMethod(time: Date, name: string, args: readonly unknown[]): unknown {
  switch (name) {
    case 'Unix':
      return Math.floor(time.getTime() / 1000)
    case 'UTC':
    case 'Local':
      return time
    case 'IsZero':
      return time.getTime() === 0
    case 'Format':
      return formatLayout(time, text(args[0]))
    case 'String':
      return formatLayout(time, '2006-01-02 15:04:05 +0000 UTC')
    default:
      throw new SightlineError(
        'bad_data',
        `can't evaluate field ${name} in type time.Time: only Format, String, Unix, UTC, Local and IsZero are built`,
      )
  }
}

/** `time.Format`: the layout is the reference time Mon Jan 2 15:04:05 MST 2006, written as one wants it. */
export function formatLayout(time: Date, layout: string): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  const hour = time.getUTCHours()
  const parts: Readonly<Record<string, string>> = {
    January: MONTHS[time.getUTCMonth()]!,
    Jan: MONTHS[time.getUTCMonth()]!.slice(0, 3),
    Monday: DAYS[time.getUTCDay()]!,
    Mon: DAYS[time.getUTCDay()]!.slice(0, 3),
    '2006': String(time.getUTCFullYear()).padStart(4, '0'),
    MST: 'UTC',
    'Z07:00': 'Z',
    '-07:00': '+00:00',
    '-0700': '+0000',
    '15': two(hour),
    '03': two(hour % 12 === 0 ? 12 : hour % 12),
    '3': String(hour % 12 === 0 ? 12 : hour % 12),
    '04': two(time.getUTCMinutes()),
    '4': String(time.getUTCMinutes()),
    '05': two(time.getUTCSeconds()),
    '5': String(time.getUTCSeconds()),
    '01': two(time.getUTCMonth() + 1),
    '1': String(time.getUTCMonth() + 1),
    '02': two(time.getUTCDate()),
    _2: String(time.getUTCDate()).padStart(2),
    '2': String(time.getUTCDate()),
    '06': two(time.getUTCFullYear() % 100),
    PM: hour < 12 ? 'AM' : 'PM',
    pm: hour < 12 ? 'am' : 'pm',
  }
  return layout.replaceAll(LAYOUT, (part) => {
    if (!part.startsWith('.')) return parts[part] ?? part
    const fraction = String(time.getUTCMilliseconds())
      .padStart(3, '0')
      .padEnd(part.length - 1, '0')
      .slice(0, part.length - 1)
    const trimmed = part[1] === '9' ? fraction.replace(/0+$/, '') : fraction
    return trimmed === '' ? '' : `.${trimmed}`
  })
}
