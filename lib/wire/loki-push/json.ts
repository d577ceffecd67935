import { EMPTY_LABELS, labelsOf, type Labels } from '../../model/index.ts'
import { messageOf, SightlineError } from '../../runtime/errors.ts'
import type { PushVisitor } from './visitor.ts'

const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/
const NANOSECONDS = /^[0-9]{1,19}$/

/**
 * `{"streams": [{"stream": {…}, "values": [["<ns>", "<line>", {…}?], …]}]}`.
 * @returns the streams in the request. Errors: `bad_data` where the body is no JSON of this shape.
 */
export function readPushJson(body: Uint8Array, visitor: PushVisitor): number {
  let parsed: unknown
  try {
    parsed = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'))
  } catch (error) {
    throw new SightlineError('bad_data', `cannot read the push request: ${messageOf(error)}`, { cause: error })
  }
  const streams = isObject(parsed) ? (parsed['streams'] ?? []) : undefined
  if (!Array.isArray(streams)) throw new SightlineError('bad_data', 'cannot read the push request: "streams" is no array')
  for (const stream of streams) readStream(stream, visitor)
  return streams.length
}

function readStream(stream: unknown, visitor: PushVisitor): void {
  const values = isObject(stream) ? (stream['values'] ?? []) : undefined
  const labels = isObject(stream) ? stream['stream'] : undefined
  if (!Array.isArray(values) || !isTexts(labels)) {
    visitor.refused('invalid_labels', 'a stream needs "stream", an object of texts, and "values", an array', 0)
    return
  }
  const wrong = Object.keys(labels).find((name) => !LABEL_NAME.test(name))
  if (wrong !== undefined) {
    const text = `{${Object.entries(labels)
      .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
      .join(', ')
      .slice(0, 200)}}`
    visitor.refused('invalid_labels', `error parsing labels '${text}' with error: "${wrong.slice(0, 100)}" is no label name`, values.length)
    return
  }
  if (!visitor.stream(labelsOf(labels), values.length)) return
  for (const value of values as unknown[]) readEntry(value, visitor)
}

function readEntry(value: unknown, visitor: PushVisitor): void {
  const [time, line, metadata] = Array.isArray(value) ? (value as unknown[]) : []
  if (typeof time !== 'string' || !NANOSECONDS.test(time) || typeof line !== 'string') {
    visitor.refused('invalid_entry', `an entry must be ["<nanoseconds>", "<line>"]: ${JSON.stringify(value)?.slice(0, 100)}`, 1)
    return
  }
  if (metadata !== undefined && !isTexts(metadata)) {
    visitor.refused('invalid_entry', 'structured metadata must be an object of texts', 1)
    return
  }
  visitor.entry(Number(time.slice(0, -6)), Number(time.slice(-6)), line, metadata === undefined ? EMPTY_LABELS : metadataOf(metadata))
}

function metadataOf(metadata: Readonly<Record<string, string>>): Labels {
  return labelsOf(Object.entries(metadata).filter(([name]) => name !== ''))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isTexts(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every((member) => typeof member === 'string')
}
