import { SightlineError } from '../../lib/runtime/errors.ts'

/** `line:column` of an offset, both from 1, the column in bytes as Prometheus counts it. */
export function linePosition(query: string, offset: number): string {
  const before = query.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  let line = 1
  for (let i = 0; i < lineStart; i++) if (before.charCodeAt(i) === 10) line++
  return `${line}:${Buffer.byteLength(before.slice(lineStart)) + 1}`
}

/** Prometheus' parse error: `1:5: parse error: unexpected …`, of kind bad_data. */
export function parseError(query: string, offset: number, message: string): SightlineError {
  return new SightlineError('bad_data', `${linePosition(query, offset)}: parse error: ${message}`)
}
