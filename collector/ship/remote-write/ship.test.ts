import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseConfig, type Config } from '../../../lib/config/index.ts'
import { openFileJournal, type Journal } from '../../../lib/journal/index.ts'
import { CELL_ABSENT, CELL_FLOAT, CELL_HISTOGRAM, CELL_STALE, labelsOf, type FloatHistogram } from '../../../lib/model/index.ts'
import { systemClock } from '../../../lib/runtime/clock.ts'
import { createLog, registry } from '../../../lib/telemetry/index.ts'
import { decodeWriteV1, SeriesBook } from '../../../lib/wire/remote-write/index.ts'
import { LAYOUT_REPEAT_MS, LayoutAnnouncer, layoutOf, type Row } from '../../../lib/wire/rows/index.ts'
import { snappyDecode } from '../../../lib/wire/snappy/index.ts'
import { openShippers, type Shippers } from './index.ts'
import { Progress } from './progress.ts'

interface Received {
  readonly headers: IncomingHttpHeaders
  /** `<labels> <time> <value>` */
  readonly samples: string[]
}

/** A receiver that answers as it is told, and remembers what it took. */
class Remote {
  readonly received: Received[] = []
  /** Asked once a request: status and headers. */
  answer: (request: number) => { status: number; headers?: Record<string, string> } = () => ({ status: 204 })
  requests = 0
  histogramCount = 0
  readonly #server: Server

  private constructor() {
    const book = new SeriesBook()
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const { status, headers = {} } = this.answer(this.requests++)
        if (status < 300) {
          const { batch } = decodeWriteV1(snappyDecode(Buffer.concat(chunks), 1 << 24), book, [])
          for (const { histograms = [] } of batch.rows) this.histogramCount += histograms.filter((one) => one !== undefined).length
          this.received.push({ headers: request.headers, samples: batch.rows.flatMap(textsOf) })
        }
        response.writeHead(status, headers).end()
      })
    })
  }

  static async start(): Promise<Remote> {
    const remote = new Remote()
    await new Promise<void>((resolve) => remote.#server.listen(0, '127.0.0.1', resolve))
    return remote
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/api/v1/write`
  }

  get samples(): string[] {
    return this.received.flatMap(({ samples }) => samples)
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

function textsOf({ layout, timestampMs, values, cells }: Row): string[] {
  return layout.series.flatMap((labels, i) => {
    const cell = cells?.[i] ?? CELL_FLOAT
    return cell === CELL_ABSENT || cell === CELL_HISTOGRAM
      ? []
      : [`${labels.join(',')} ${timestampMs} ${cell === CELL_STALE ? 'stale' : values[i]}`]
  })
}

async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; !(await check()); i++) {
    if (i > 500) throw new Error('it did not come to pass within 5 s')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

async function metric(name: string, labels: Record<string, string>): Promise<number> {
  const found = await registry.getSingleMetric(name)!.get()
  return found.values.find((one) => Object.entries(labels).every(([key, value]) => one.labels[key] === value))?.value ?? 0
}

const SERIES = ['a', 'b', 'c'].map((job) => labelsOf({ __name__: 'm', job }))

const HISTOGRAM: FloatHistogram = {
  schema: 0,
  counterResetHint: 'unknown',
  count: 2,
  sum: 3,
  zeroThreshold: 0,
  zeroCount: 0,
  positiveSpans: [{ offset: 0, length: 1 }],
  positiveBuckets: [2],
  negativeSpans: [],
  negativeBuckets: [],
  customValues: [],
}

describe('a remote_write entry', () => {
  let folder: string
  let journal: Journal
  let remote: Remote
  let shippers: Shippers | undefined
  let announcer: LayoutAnnouncer
  const log = createLog('silent')

  const openJournal = (): Promise<Journal> =>
    openFileJournal({
      dir: join(folder, 'journal'),
      partitions: 2,
      segmentBytes: 1 << 20,
      bytesMax: 1 << 26,
      onFull: 'push_back',
      queueBytesMax: 1 << 24,
      producer: 'p',
      onFatal: (error) => {
        throw error
      },
    })

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sightline-ship-'))
    journal = await openJournal()
    remote = await Remote.start()
    announcer = new LayoutAnnouncer()
  })

  afterEach(async () => {
    await shippers?.stop()
    shippers = undefined
    remote.stop()
    await journal.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const configOf = (extra: Record<string, unknown> = {}, name = 'one'): Config => {
    const queue = { batch_send_deadline: '10ms', min_backoff: '10ms', max_backoff: '20ms' }
    const entry = { url: remote.url, name, queue_config: queue, ...extra }
    return parseConfig(JSON.stringify({ remote_write: [entry] }), 'test.yml').config
  }

  const apply = async (config: Config): Promise<void> => {
    shippers ??= openShippers({ dir: join(folder, 'ship'), journal, clock: systemClock, log })
    await shippers.prepare(config)()
  }

  const append = async (timestampMs: number, values: number[], options: { cells?: number[]; tenant?: string; partition?: number } = {}) => {
    const cells = options.cells === undefined ? {} : { cells: Uint8Array.from(options.cells) }
    const layout = layoutOf('g', SERIES.slice(0, values.length))
    const row: Row = { layout, timestampMs, values: Float64Array.from(values), ...cells }
    for (const { payload, items } of announcer.encode({ rows: [row], metadata: [] }, Date.now())) {
      await journal.append('metrics', options.partition ?? 0, { encoding: 'rows', tenant: options.tenant ?? 'default', items, payload })
    }
  }

  const line = (job: string, time: number, value: number | string): string => `__name__,m,job,${job} ${time} ${value}`

  test('sends what comes after it was configured, with the headers of remote write 1.0 and its own', async () => {
    await append(500, [1])
    await apply(configOf({ headers: { 'X-Scope-OrgID': 'other' }, basic_auth: { username: 'u', password: 'p' } }))
    await append(1000, [1, 2])
    await append(2000, [0, 3], { cells: [CELL_STALE, CELL_FLOAT], partition: 1 })
    await until(() => remote.samples.length === 4)
    expect(remote.samples.toSorted()).toEqual([line('a', 1000, 1), line('a', 2000, 'stale'), line('b', 1000, 2), line('b', 2000, 3)])
    expect(remote.received[0]!.headers).toMatchObject({
      'content-encoding': 'snappy',
      'content-type': 'application/x-protobuf',
      'x-prometheus-remote-write-version': '0.1.0',
      'x-scope-orgid': 'other',
      authorization: `Basic ${Buffer.from('u:p').toString('base64')}`,
    })
  })

  test('knows the layouts that were announced before it was configured', async () => {
    await append(500, [1, 2])
    await apply(configOf())
    await append(1000, [3, 4])
    await until(() => remote.samples.length === 2)
    expect(remote.samples).toEqual([line('a', 1000, 3), line('b', 1000, 4)])
  })

  test('counts samples of a layout that nobody announced', async () => {
    announcer.encode({ rows: [{ layout: layoutOf('g', SERIES), timestampMs: 1, values: new Float64Array(3) }], metadata: [] }, Date.now())
    await apply(configOf({}, 'unknown'))
    await append(1000, [3, 4, 5])
    await until(async () => (await metric('sightline_remote_write_samples_total', { remote: 'unknown', result: 'unknown_layout' })) === 3)
    expect(remote.requests).toBe(0)
  })

  test('cuts requests at max_samples_per_send and keeps the order', async () => {
    await apply(configOf({ queue_config: { max_samples_per_send: 2, batch_send_deadline: '10ms' } }))
    for (let i = 1; i <= 5; i++) await append(i * 1000, [i, i, i])
    await until(() => remote.samples.length === 15)
    expect(Math.max(...remote.received.map(({ samples }) => samples.length))).toBe(2)
    expect(remote.samples.filter((one) => one.includes('job,b'))).toEqual([1, 2, 3, 4, 5].map((i) => line('b', i * 1000, i)))
  })

  test('applies write_relabel_configs, and sends the tenant default only', async () => {
    const rules = [
      { source_labels: ['job'], regex: 'b', action: 'drop' },
      { target_label: 'extra', replacement: 'yes' },
    ]
    await apply(configOf({ write_relabel_configs: rules }, 'relabeled'))
    await append(1000, [9], { tenant: 'other' })
    announcer.forget()
    await append(1000, [1, 2, 3])
    await until(() => remote.samples.length === 2)
    expect(remote.samples).toEqual(['__name__,m,extra,yes,job,a 1000 1', '__name__,m,extra,yes,job,c 1000 3'])
    await until(async () => (await metric('sightline_remote_write_samples_total', { remote: 'relabeled', result: 'relabeled' })) === 1)
  })

  test('tries again after 500 and 429, as long as Retry-After says, and loses nothing', async () => {
    const times: number[] = []
    remote.answer = (n) => {
      times.push(Date.now())
      return n === 0 ? { status: 500 } : n === 1 ? { status: 429, headers: { 'retry-after': '1' } } : { status: 200 }
    }
    await apply(configOf({}, 'retried'))
    await append(1000, [1])
    await until(() => remote.samples.length === 1)
    expect(times).toHaveLength(3)
    expect(times[2]! - times[1]!).toBeGreaterThanOrEqual(990)
    expect(await metric('sightline_remote_write_retries_total', { remote: 'retried' })).toBe(2)
  })

  test('leaves out and counts what a remote refuses, and goes on', async () => {
    remote.answer = (n) => ({ status: n === 0 ? 400 : 204 })
    await apply(configOf({}, 'refused'))
    await append(1000, [1, 2])
    await until(() => remote.requests === 1)
    await append(2000, [3, 4])
    await until(() => remote.samples.length === 2)
    expect(await metric('sightline_remote_write_samples_total', { remote: 'refused', result: 'rejected' })).toBe(2)
    expect(await metric('sightline_remote_write_samples_total', { remote: 'refused', result: 'sent' })).toBe(2)
  })

  test('goes on after a restart where it was, with layouts of before', async () => {
    await apply(configOf())
    await append(1000, [1, 2])
    await until(() => remote.samples.length === 2)
    await shippers!.stop()
    await append(2000, [3, 4])
    await journal.close()
    journal = await openJournal()
    shippers = openShippers({ dir: join(folder, 'ship'), journal, clock: systemClock, log })
    await shippers.prepare(configOf())()
    await append(3000, [5, 6])
    await until(() => remote.samples.length === 6)
    expect(remote.samples).toEqual([1, 2, 3].flatMap((i) => [line('a', i * 1000, 2 * i - 1), line('b', i * 1000, 2 * i)]))
  })

  test('holds in the journal what is unsent, until it is sent', async () => {
    remote.answer = () => ({ status: 503 })
    await apply(configOf())
    await append(1000, [1, 2])
    await until(() => remote.requests > 0)
    const held = journal.stats().segments
    // Enough of other data for some segments.
    const payload = new Uint8Array(512 * 1024)
    for (let i = 0; i < 6; i++) await journal.append('logs', 0, { encoding: 'otlp', tenant: 't', items: 1, payload })
    expect(await journal.deletePassed()).toBe(0)
    expect(journal.stats().segments).toBeGreaterThan(held)
    remote.answer = () => ({ status: 204 })
    await until(() => remote.samples.length === 2)
    // Its layouts are five minutes' worth, so an entry that is gone is what lets go.
    await shippers!.prepare(parseConfig('{}', 'test.yml').config)()
    expect(readdirSync(join(folder, 'ship'))).toEqual([])
    expect(await journal.deletePassed()).toBeGreaterThan(0)
  })

  test('native histograms are left out and counted, unless send_native_histograms', async () => {
    const layout = layoutOf('g', SERIES.slice(0, 2))
    const row: Row = {
      layout,
      timestampMs: 1000,
      values: Float64Array.of(1, 0),
      cells: Uint8Array.of(CELL_FLOAT, CELL_HISTOGRAM),
      histograms: [undefined, HISTOGRAM],
    }
    const appendHistogram = async (): Promise<void> => {
      for (const { payload, items } of announcer.encode({ rows: [row], metadata: [] }, Date.now())) {
        await journal.append('metrics', 0, { encoding: 'rows', tenant: 'default', items, payload })
      }
    }
    await apply(configOf({}, 'floats'))
    await appendHistogram()
    await until(() => remote.samples.length === 1)
    await until(async () => (await metric('sightline_remote_write_samples_total', { remote: 'floats', result: 'histogram' })) === 1)
    await shippers!.prepare(configOf({ send_native_histograms: true }, 'floats'))()
    await appendHistogram()
    await until(() => remote.histogramCount === 1)
    expect(remote.samples).toEqual([line('a', 1000, 1), line('a', 1000, 1)])
  })

  test('lets go of the journal when that is three quarters full, and counts what was deleted unsent', async () => {
    remote.answer = () => ({ status: 503 })
    const small = { ...configOf({}, 'slow'), journal: { ...configOf().journal, size_max: 4 << 20 } }
    await apply(small)
    await append(1000, [1])
    await until(() => remote.requests > 0)
    await append(2000, [2])
    const payload = new Uint8Array(512 * 1024)
    for (let i = 0; i < 7; i++) await journal.append('logs', 0, { encoding: 'otlp', tenant: 't', items: 1, payload })
    const requests = remote.requests
    await until(() => remote.requests > requests)
    expect(await journal.deletePassed()).toBeGreaterThan(0)
    remote.answer = () => ({ status: 204 })
    announcer.forget()
    await append(3000, [3])
    await until(() => remote.samples.includes(line('a', 3000, 3)))
    // The first was in memory already; the second was in the journal only.
    expect(remote.samples).toEqual([line('a', 1000, 1), line('a', 3000, 3)])
    expect(await metric('sightline_remote_write_records_lost_total', { remote: 'slow' })).toBe(1)
  })

  test.each([
    [{ protobuf_message: 'io.prometheus.write.v2.Request' }, 'protobuf_message io.prometheus.write.v2.Request is not built'],
    [{ round_robin_dns: true }, 'round_robin_dns is not built'],
    [{ proxy_url: 'http://proxy' }, 'proxies are not built'],
    [{ queue_config: { max_samples_per_send: 0 } }, 'max_samples_per_send'],
    [{ queue_config: { min_backoff: 'soon' } }, 'not a valid duration'],
  ])('an entry with %j is refused, and nothing changes', async (extra, message) => {
    await apply(configOf())
    expect(() => shippers!.prepare(configOf(extra))).toThrow(message)
    await append(1000, [1])
    await until(() => remote.samples.length === 1)
  })

  test('two entries of one name are refused', () => {
    const { remote_write: entries, ...rest } = configOf()
    shippers = openShippers({ dir: join(folder, 'ship'), journal, clock: systemClock, log })
    expect(() => shippers!.prepare({ ...rest, remote_write: [...entries, ...entries] })).toThrow('one is there twice')
  })

  test('a place that cannot be read is an error of kind corruption', async () => {
    await apply(configOf())
    await shippers!.stop()
    const path = join(folder, 'ship/remote-write-one.json')
    expect(existsSync(path)).toBe(true)
    writeFileSync(path, '{"format":"sightline-ship","version":2}')
    expect(() => openShippers({ dir: join(folder, 'ship'), journal, clock: systemClock, log })).toThrow('version 2')
  })
})

describe('progress', () => {
  test('decoding begins five minutes before what was sent', () => {
    const progress = new Progress({ sent: [0], layouts: [0] })
    for (let i = 0; i < 600; i++) expect(progress.take(0, i, i * 1000)).toBe(0)
    progress.sentAll()
    const { sent, layouts } = progress.place()
    expect(sent).toEqual([600])
    expect(layouts[0]).toBeLessThanOrEqual(300)
    expect(layouts[0]).toBeGreaterThan(240)
  })

  test('a partition that nothing is written to holds nothing after five minutes', () => {
    const progress = new Progress({ sent: [0], layouts: [0] })
    progress.take(0, 0, 1000)
    progress.sentAll()
    progress.age(2000, [1])
    expect(progress.place().layouts).toEqual([0])
    progress.age(1000 + LAYOUT_REPEAT_MS, [1])
    expect(progress.place().layouts).toEqual([1])
  })

  test('missing records are counted, those read again are not', () => {
    const progress = new Progress({ sent: [5], layouts: [2] })
    expect(progress.take(0, 2, 0)).toBe(0)
    expect(progress.isUnsent(0, 4)).toBe(false)
    expect(progress.take(0, 8, 0)).toBe(3)
    expect(progress.lag([10])).toBe(5)
    progress.restart()
    expect(progress.take(0, 5, 0)).toBe(0)
  })
})
