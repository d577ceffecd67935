/** The scalar notations of the field, as zod types: durations, sizes, secrets, addresses. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { parseDuration } from '../model/index.ts'

/** A Prometheus duration (`1m30s`), as milliseconds. */
export const durationMs = z.union([z.string(), z.number()]).transform((value, context) => {
  const ms = parseDuration(String(value))
  if (ms === undefined) {
    context.addIssue({ code: 'custom', message: `not a valid duration string: "${value}"` })
    return z.NEVER
  }
  return ms
})

const SIZE = /^(\d+(?:\.\d+)?)\s*(B|[KMGTPE]i?B?)?$/i
const SIZE_POWERS = 'BKMGTPE'

/** Bytes: a number, or with a unit of 1024 (`64MB`, `1GiB`: Prometheus counts both in 1024s). 0 = no limit. */
export const sizeBytes = z.union([z.string(), z.number()]).transform((value, context) => {
  const match = SIZE.exec(String(value).trim())
  if (match === null) {
    context.addIssue({ code: 'custom', message: `not a valid size: "${value}" (like 64MB)` })
    return z.NEVER
  }
  const power = SIZE_POWERS.indexOf((match[2] ?? 'B')[0]!.toUpperCase())
  return Math.round(Number(match[1]) * 1024 ** power)
})

/** A text that is never printed: logging, JSON and string conversion show `<secret>`. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return '<secret>'
  }

  toJSON(): string {
    return '<secret>'
  }
}

export const secret = z.string().transform((value) => new Secret(value))

/** A secret given in place or in a file; the file is read each time it is needed, so that rotation needs no reload. */
export function revealSecret(inline: Secret | undefined, file: string | undefined): string | undefined {
  if (inline !== undefined) return inline.reveal()
  return file === undefined ? undefined : readFileSync(file, 'utf8').trim()
}

/** `host:port`, `:port` or a port alone. Port 0 picks a free one. */
export const listenAddress = z.union([z.string(), z.number()]).transform((value, context) => {
  const match = /^(?:(\[[^\]]+\]|[^:]*):)?(\d+)$/.exec(String(value))
  const port = Number(match?.[2])
  if (match === null || port > 65_535) {
    context.addIssue({ code: 'custom', message: `not a listen address: "${value}" (like 127.0.0.1:9428)` })
    return z.NEVER
  }
  // Without a host we listen on loopback: opening to the network is said, never implied.
  return { host: match[1] === undefined || match[1] === '' ? '127.0.0.1' : match[1].replace(/^\[|\]$/g, ''), port }
})

export type ListenAddress = z.output<typeof listenAddress>

/** A label name in the UTF-8 rules of Prometheus 3: anything but empty. */
export const labelName = z.string().min(1)
export const labelSet = z.record(labelName, z.union([z.string(), z.number(), z.boolean()]).transform(String))
