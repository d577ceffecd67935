/** `{"status":"success","data":…}` and its opposite, for every route of this API. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { Readable } from 'node:stream'
import { errorHeaders } from '../../../lib/http/index.ts'
import { ERROR_KINDS, kindOf, messageOf, SightlineError } from '../../../lib/runtime/errors.ts'

export interface Notes {
  readonly warnings?: readonly string[]
  readonly infos?: readonly string[]
}

export function sendData(reply: FastifyReply, data: unknown, notes: Notes = {}): FastifyReply {
  return reply.type('application/json').send(JSON.stringify({ status: 'success', data, ...notesOf(notes) }))
}

/** As `sendData` for data that is written in pieces. */
export function streamData(reply: FastifyReply, data: Iterable<string>, notes: Notes, statsJson: string | undefined): FastifyReply {
  return reply.type('application/json').send(Readable.from(chunked(data, notes, statsJson), { objectMode: false }))
}

/** Pieces of this size go to the socket: smaller ones cost a write each. */
const CHUNK_CHARS = 64 * 1024

function* chunked(data: Iterable<string>, notes: Notes, statsJson: string | undefined): Generator<string> {
  let out = '{"status":"success","data":'
  let last = ''
  for (const piece of data) {
    out += last
    // The closing brace of `data` is held back: statistics go inside it.
    last = piece
    if (out.length >= CHUNK_CHARS) {
      yield out
      out = ''
    }
  }
  out += statsJson === undefined ? last : `${last.slice(0, -1)},"stats":${statsJson}}`
  const rest = JSON.stringify(notesOf(notes))
  yield `${out}${rest === '{}' ? '}' : `,${rest.slice(1)}`}`
}

function notesOf({ warnings = [], infos = [] }: Notes): Notes {
  return { ...(warnings.length === 0 ? {} : { warnings }), ...(infos.length === 0 ? {} : { infos }) }
}

/** Errors of all routes below, fastify's own too, in the envelope. Credentials are asked for in plain HTTP, as Prometheus does. */
export function useErrorEnvelope(app: FastifyInstance, onError: (error: unknown, where: string) => void): void {
  app.setErrorHandler((error, request, reply) => {
    const status = (error as { statusCode?: number }).statusCode
    const kind = error instanceof SightlineError || status === undefined || status >= 500 ? kindOf(error) : 'bad_data'
    if (kind === 'internal' || kind === 'corruption') onError(error, `${request.method} ${request.url}`)
    void reply
      .code(ERROR_KINDS[kind].http)
      .headers(errorHeaders(error, kind))
      .type('application/json')
      .send(JSON.stringify({ status: 'error', errorType: ERROR_KINDS[kind].prometheus, error: messageOf(error) }))
  })
}
