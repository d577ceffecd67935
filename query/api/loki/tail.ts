/**
 * Following a query: a web socket that gets new entries as they arrive. Credentials, tenant and query are checked by the ordinary route of the same address, asked
 * in process with the client's headers; only then the socket is opened.
 *
 * New entries are polled. Each poll looks back a little, since lines arrive late, and leaves out what was sent. Entries a slow client can't take are
 * dropped and named in `dropped_entries`.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { WebSocketServer, type WebSocket } from 'ws'
import { paramsOf } from '../../../lib/http/index.ts'
import { messageOf, SightlineError } from '../../../lib/runtime/errors.ts'
import { checked, type LogLines } from '../../logql/index.ts'
import type { NanoTime } from '../../store/index.ts'
import { queryLimits, type LokiApiDeps } from './deps.ts'
import { writeLabels, writeNanos, writeStreams } from './json.ts'
import { limitParam, parseTime, requiredQuery } from './params.ts'
import { LINES_DEFAULT } from './query-routes.ts'

const TICKET_HEADER = 'x-sightline-tail-ticket'
const POLL_MS = 1000
const LOOK_BACK_MS = 15_000
const BACKFILL_MS = 3_600_000
const DELAY_MAX_MS = 5000
/** Entries of one poll, remembered entries, bytes a client may lag behind, entries named as dropped. */
const POLL_ENTRIES_MAX = 5000
const SENT_MAX = 20_000
const LAG_BYTES_MAX = 8 * 1024 * 1024
const DROPPED_MAX = 1000

interface TailCall {
  readonly tenant: string
  readonly query: string
  readonly start: NanoTime
  readonly limit: number
  readonly delayMs: number
}

export function tailRoutes(app: FastifyInstance, deps: LokiApiDeps): void {
  const tickets = new Map<string, TailCall | undefined>()
  const tails = new Map<string, number>()
  const server = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 })
  const sockets = new Set<WebSocket>()

  app.get('/tail', async (request, reply) => {
    const call = tailCall(deps, request.tenant, paramsOf(request))
    const ticket = request.headers[TICKET_HEADER]
    if (typeof ticket !== 'string' || !tickets.has(ticket))
      return reply.code(426).header('upgrade', 'websocket').type('text/plain').send('tail needs a web socket')
    const tailsMax = deps.limitsOf(call.tenant).log_tails_max
    if ((tails.get(call.tenant) ?? 0) >= tailsMax)
      throw new SightlineError('too_many', `max concurrent tail requests limit exceeded, count > limit (${tailsMax + 1} > ${tailsMax})`)
    tickets.set(ticket, call)
    return reply.send('')
  })

  const upgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const ticket = randomUUID()
    tickets.set(ticket, undefined)
    const { upgrade: _upgrade, connection: _connection, ...headers } = request.headers
    const asked = { ...headers, [TICKET_HEADER]: ticket } as unknown as Record<string, string>
    const answer = await app.inject({ method: 'GET', url: request.url ?? '/', headers: asked })
    const call = tickets.get(ticket)
    tickets.delete(ticket)
    if (call === undefined || answer.statusCode !== 200)
      return refuse(socket, answer.statusCode === 200 ? 404 : answer.statusCode, answer.payload)
    server.handleUpgrade(request, socket, head, (client) => {
      sockets.add(client)
      tails.set(call.tenant, (tails.get(call.tenant) ?? 0) + 1)
      client.on('close', () => {
        sockets.delete(client)
        tails.set(call.tenant, tails.get(call.tenant)! - 1)
      })
      client.on('error', () => client.terminate())
      void follow(deps, call, client)
    })
  }
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const path = (request.url ?? '/').split('?')[0]
    if (path !== `${app.prefix}/tail`) {
      if (app.server.listenerCount('upgrade') === 1) refuse(socket, 404, 'not found')
      return
    }
    socket.on('error', () => socket.destroy())
    upgrade(request, socket, head).catch((error: unknown) => {
      deps.onError(error, 'tail')
      refuse(socket, 500, 'internal error')
    })
  })
  app.addHook('preClose', async () => {
    for (const client of sockets) client.close(1001, 'the server is going away')
    server.close()
  })
}

function refuse(socket: Duplex, status: number, text: string): void {
  socket.end(
    `HTTP/1.1 ${status} \r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
  )
}

function tailCall(deps: LokiApiDeps, tenant: string, params: URLSearchParams): TailCall {
  const query = requiredQuery(params)
  if (checked(query).kind !== 'log') throw new SightlineError('bad_data', 'parse error : only log queries can be tailed')
  const startText = params.get('start') ?? ''
  const start = startText === '' ? { ms: deps.clock.now() - BACKFILL_MS, subNs: 0 } : parseTime(startText, 'start')
  const delayMs = Number(params.get('delay_for') ?? '0') * 1000
  if (!(delayMs >= 0 && delayMs <= DELAY_MAX_MS))
    throw new SightlineError('bad_data', `delay_for can't be greater than ${DELAY_MAX_MS / 1000}`)
  const limit = Math.min(limitParam(params, LINES_DEFAULT), deps.limitsOf(tenant).log_entries_max)
  return { tenant, query, start, limit, delayMs }
}

/** Sends until the client goes. */
async function follow(deps: LokiApiDeps, call: TailCall, client: WebSocket): Promise<void> {
  const gone = new AbortController()
  client.on('close', () => gone.abort())
  const sent = new SentEntries()
  let isFirst = true
  /** Nothing before this is sent: what a full first answer left out stays out. */
  let floor = call.start
  let dropped: string[] = []
  try {
    while (!gone.signal.aborted) {
      const endMs = deps.clock.now() - call.delayMs
      const start = floor.ms >= endMs - LOOK_BACK_MS ? floor : { ms: endMs - LOOK_BACK_MS, subNs: 0 }
      const lines = await poll(deps, call, isFirst ? call.start : start, { ms: endMs + 1, subNs: 0 }, isFirst, gone.signal)
      const fresh = sent.filter(lines)
      const last = lines.count - 1
      if (isFirst && lines.count >= call.limit) floor = { ms: lines.timeMs[last]!, subNs: lines.subNs[last]! }
      isFirst = false
      if (fresh.count > 0) {
        if (client.bufferedAmount > LAG_BYTES_MAX) dropped = [...dropped, ...droppedOf(fresh)].slice(0, DROPPED_MAX)
        else {
          const droppedText = dropped.length === 0 ? 'null' : `[${dropped.join(',')}]`
          client.send(`{"streams":[${[...writeStreams(fresh, false)].join('')}],"dropped_entries":${droppedText}}`)
          dropped = []
        }
      }
      await deps.clock.sleep(POLL_MS, gone.signal)
    }
  } catch (error) {
    if (gone.signal.aborted) return
    deps.onError(error, 'tail')
    client.close(1011, messageOf(error).slice(0, 100))
  }
}

async function poll(
  deps: LokiApiDeps,
  call: TailCall,
  start: NanoTime,
  end: NanoTime,
  isFirst: boolean,
  signal: AbortSignal,
): Promise<LogLines> {
  const limits = queryLimits(deps.limitsOf(call.tenant))
  // The newest ones first, where there are more than a poll takes.
  const range = { query: call.query, start, end, stepMs: 0, direction: 'backward', limit: isFirst ? call.limit : POLL_ENTRIES_MAX } as const
  const result = await deps.engine.range(deps.readerOf(call.tenant).queryable, range, limits, signal)
  if (result.type !== 'streams') throw new SightlineError('internal', 'BUG: a log query gave no lines')
  return result.lines
}

function droppedOf(lines: LogLines): string[] {
  return Array.from(lines.timeMs, (ms, i) => {
    const labels = writeLabels(lines.sets[lines.stream[i]!]!)
    return `{"labels":${labels},"timestamp":"${writeNanos(ms, lines.subNs[i]!)}"}`
  })
}

/** Which entries a client has, by time, labels and line; the oldest are forgotten. Answers what is new, oldest first. */
class SentEntries {
  readonly #keys = new Set<string>()

  filter(lines: LogLines): LogLines {
    const text = Buffer.from(lines.lineBytes.buffer, lines.lineBytes.byteOffset, lines.lineBytes.byteLength)
    const rows: number[] = []
    const repeats = new Map<string, number>()
    for (let i = lines.count - 1; i >= 0; i--) {
      const labels = `${lines.sets[lines.stream[i]!]!.join('\n')} ${lines.sets[lines.metadata[i]!]!.join('\n')}`
      const entry = `${lines.timeMs[i]} ${lines.subNs[i]} ${labels} ${text.toString('utf8', lines.lineStart[i], lines.lineStart[i + 1])}`
      const nth = repeats.get(entry) ?? 0
      repeats.set(entry, nth + 1)
      const key = `${nth} ${entry}`
      if (this.#keys.has(key)) continue
      this.#keys.add(key)
      rows.push(i)
    }
    for (const key of this.#keys) {
      if (this.#keys.size <= SENT_MAX) break
      this.#keys.delete(key)
    }
    return rowsOf(lines, rows)
  }
}

function rowsOf(lines: LogLines, rows: readonly number[]): LogLines {
  const pieces = rows.map((i) => lines.lineBytes.subarray(lines.lineStart[i], lines.lineStart[i + 1]))
  const lineStart = new Uint32Array(rows.length + 1)
  for (const [i, piece] of pieces.entries()) lineStart[i + 1] = lineStart[i]! + piece.length
  const pick = (column: Uint32Array): Uint32Array => Uint32Array.from(rows, (i) => column[i]!)
  return {
    ...lines,
    count: rows.length,
    timeMs: Float64Array.from(rows, (i) => lines.timeMs[i]!),
    subNs: pick(lines.subNs),
    stream: pick(lines.stream),
    metadata: pick(lines.metadata),
    parsed: pick(lines.parsed),
    lineBytes: Buffer.concat(pieces),
    lineStart,
  }
}
