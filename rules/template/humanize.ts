/** Numbers for people, as Prometheus' template functions write them. */
import { SightlineError } from '../../lib/runtime/errors.ts'
import { formatNumber, general } from './format.ts'

/** A number, or a text that is one. */
export function toNumber(value: unknown): number {
  if (typeof value === 'number') return value
  if (typeof value === 'string' && value.trim() === value && value !== '') {
    const lower = value.toLowerCase()
    if (/^[+-]?inf(inity)?$/.test(lower)) return lower.startsWith('-') ? -Infinity : Infinity
    if (lower === 'nan') return NaN
    if (!Number.isNaN(Number(value))) return Number(value)
  }
  throw new SightlineError('bad_data', `can't convert ${JSON.stringify(value)} to float`)
}

export function humanize(value: unknown): string {
  const number = toNumber(value)
  if (number === 0 || !Number.isFinite(number)) return general(number, 4)
  let scaled = number
  let prefix = ''
  if (Math.abs(scaled) >= 1) {
    for (const next of 'kMGTPEZY') {
      if (Math.abs(scaled) < 1000) break
      prefix = next
      scaled /= 1000
    }
  } else {
    for (const next of 'mµnpfazy'.replace('µ', 'u')) {
      if (Math.abs(scaled) >= 1) break
      prefix = next
      scaled *= 1000
    }
  }
  return `${general(scaled, 4)}${prefix}`
}

export function humanize1024(value: unknown): string {
  const number = toNumber(value)
  if (Math.abs(number) <= 1 || !Number.isFinite(number)) return general(number, 4)
  let scaled = number
  let prefix = ''
  for (const next of ['ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi']) {
    if (Math.abs(scaled) < 1024) break
    prefix = next
    scaled /= 1024
  }
  return `${general(scaled, 4)}${prefix}`
}

export function humanizeDuration(value: unknown): string {
  const seconds = toNumber(value)
  if (!Number.isFinite(seconds)) return general(seconds, 4)
  if (seconds === 0) return '0s'
  if (Math.abs(seconds) >= 1) {
    const sign = seconds < 0 ? '-' : ''
    const whole = Math.trunc(Math.abs(seconds))
    const [days, hours, minutes] = [Math.floor(whole / 86_400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60]
    if (days > 0) return `${sign}${days}d ${hours}h ${minutes}m ${whole % 60}s`
    if (hours > 0) return `${sign}${hours}h ${minutes}m ${whole % 60}s`
    if (minutes > 0) return `${sign}${minutes}m ${whole % 60}s`
    return `${sign}${general(Math.abs(seconds), 4)}s`
  }
  let scaled = seconds
  let prefix = ''
  for (const next of 'munpfazy') {
    if (Math.abs(scaled) >= 1) break
    prefix = next
    scaled *= 1000
  }
  return `${general(scaled, 4)}${prefix}s`
}

export function humanizePercentage(value: unknown): string {
  return `${general(toNumber(value) * 100, 4)}%`
}

export function humanizeTimestamp(value: unknown): string {
  const seconds = toNumber(value)
  if (!Number.isFinite(seconds)) return general(seconds, 4)
  return timeOf(seconds, formatNumber(seconds))
    .toISOString()
    .replace('T', ' ')
    .replace(/\.?0*Z$/, ' +0000 UTC')
}

/** The instant of Unix seconds. */
export function timeOf(seconds: number, shown = String(seconds)): Date {
  const time = new Date(seconds * 1000)
  if (Number.isNaN(time.getTime())) throw new SightlineError('bad_data', `${shown} cannot be represented as a timestamp`)
  return time
}
