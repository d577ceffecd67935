import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { pino } from 'pino'
import { parseConfig } from '../../lib/config/index.ts'
import { openFileJournal, type Journal } from '../../lib/journal/index.ts'
import { EMPTY_LABELS, labelsOf, labelsToObject, type Labels } from '../../lib/model/index.ts'
import type { Appender } from '../../lib/producer/index.ts'
import { systemClock, type Clock } from '../../lib/runtime/clock.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import { decodeLabels, decodeMetadata, walkStreams } from '../../lib/wire/otlp/logs/index.ts'
import { Positions } from './positions.ts'
import { Tailer } from './tailer.ts'

const folders: string[] = []
const closers: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of closers.splice(0)) await close()
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true, force: true })
})

const AT = '2026-01-02T03:04:05.000000001Z'
const cri = (text: string, stream = 'stdout', tag = 'F'): string => `${AT} ${stream} ${tag} ${text}\n`

/** A clock that can be pushed: discovery and idle times are minutes of the test otherwise. */
class PushedClock implements Clock {
  aheadMs = 0
  now(): number {
    return systemClock.now() + this.aheadMs
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal)
  }
}

interface Line {
  readonly text: string
  readonly labels: Record<string, string>
  readonly metadata: Record<string, string>
}

/** A node's log folder, a real journal, and a tailer that can be crashed and started again on both. */
class Bench {
  readonly logs: string
  readonly clock = new PushedClock()
  refuse: SightlineError | undefined
  readonly #dir: string
  #journal: Journal | undefined
  #positions: Positions | undefined
  #tailer: Tailer | undefined

  constructor() {
    this.#dir = mkdtempSync(join(tmpdir(), 'sightline-tail-'))
    folders.push(this.#dir)
    this.logs = join(this.#dir, 'pods/shop_cart-1_uid1/app')
    mkdirSync(this.logs, { recursive: true })
    closers.push(() => this.stop())
  }

  path(name = '0.log'): string {
    return join(this.logs, name)
  }

  async start(externalLabels: Labels = EMPTY_LABELS): Promise<this> {
    this.#journal = await openFileJournal({
      dir: join(this.#dir, 'journal'),
      partitions: 4,
      segmentBytes: 1024 * 1024,
      bytesMax: 1024 * 1024 * 1024,
      onFull: 'push_back',
      queueBytesMax: 1024 * 1024 * 1024,
      producer: 'test',
      onFatal: () => {},
    })
    const journal = this.#journal
    const appender: Appender = {
      partitionCount: () => 4,
      append: async (signal, tenant, batches) => {
        if (this.refuse !== undefined) throw this.refuse
        await Promise.all(batches.map((batch) => journal.append(signal, batch.partition, { tenant, ...batch })))
      },
    }
    const { config } = parseConfig(`tail: [{ include: ['${this.#dir}/pods/*/*/*.log'], line_size_max: 64KB }]`, 'test', {})
    this.#positions = await Positions.open(join(this.#dir, 'positions.json'), journal)
    this.#tailer = new Tailer({
      config: config.tail[0]!,
      externalLabels,
      appender,
      positions: this.#positions,
      clock: this.clock,
      log: pino({ level: 'silent' }),
    })
    this.clock.aheadMs += 2000
    return this
  }

  /** Looks for files and reads all of them once. */
  async round(): Promise<number | undefined> {
    this.clock.aheadMs += 2000
    return this.#tailer!.round(this.clock)
  }

  startLoop(): void {
    this.#tailer!.start()
  }

  async save(): Promise<void> {
    await this.#positions!.save(this.clock.now())
  }

  async stop(): Promise<void> {
    await this.#tailer?.stop()
    await this.#journal?.close()
    this.#tailer = undefined
    this.#journal = undefined
  }

  async lines(): Promise<Line[]> {
    const from = Array.from({ length: 4 }, (_, partition) => ({
      signal: 'logs' as const,
      partition,
      fromOffset: this.#journal!.startOffset('logs', partition),
    }))
    const out: Line[] = []
    for await (const batch of this.#journal!.read(from)) for (const record of batch) out.push(...linesOf(record.payload))
    return out
  }

  async texts(): Promise<string[]> {
    return (await this.lines()).map((line) => line.text)
  }
}

function linesOf(payload: Uint8Array): Line[] {
  const out: Line[] = []
  let labels: Labels = EMPTY_LABELS
  walkStreams(payload, {
    stream: (from, to) => {
      labels = decodeLabels(payload, from, to)
    },
    record: (_timeMs: number, _subNs: number, lineFrom: number, lineTo: number, metadataFrom: number, metadataTo: number) => {
      out.push({
        text: Buffer.from(payload.subarray(lineFrom, lineTo)).toString(),
        labels: labelsToObject(labels),
        metadata: labelsToObject(decodeMetadata(payload, metadataFrom, metadataTo)),
      })
    },
  })
  return out
}

describe('tailing', () => {
  test('lines come with labels of the path, stream, service and level', async () => {
    const bench = await new Bench().start(labelsOf({ cluster: 'eu1' }))
    writeFileSync(bench.path(), cri('{"level":"error","msg":"x"}') + cri('plain', 'stderr'))
    await bench.round()
    const lines = await bench.lines()
    expect(lines[0]!.labels).toEqual({
      cluster: 'eu1',
      namespace: 'shop',
      pod: 'cart-1',
      container: 'app',
      service_name: 'app',
      stream: 'stdout',
    })
    expect(lines[0]!.metadata).toMatchObject({ detected_level: 'error', k8s_pod_uid: 'uid1', k8s_container_restart_count: '0' })
    expect(lines[1]!.labels['stream']).toBe('stderr')
  })

  test('a file that grows is read on, each line once, also one that is written in halves', async () => {
    const bench = await new Bench().start()
    writeFileSync(bench.path(), `${cri('a')}${AT} stdout F b-first`)
    await bench.round()
    expect(await bench.texts()).toEqual(['a'])
    appendFileSync(bench.path(), `-second\n${cri('c', 'stdout', 'P')}`)
    await bench.round()
    appendFileSync(bench.path(), cri('d'))
    await bench.round()
    expect(await bench.texts()).toEqual(['a', 'b-first-second', 'cd'])
  })

  test('rotation by rename: the old file is read to its end, the new one from its start', async () => {
    const bench = await new Bench().start()
    writeFileSync(bench.path(), cri('a'))
    await bench.round()
    appendFileSync(bench.path(), cri('b'))
    renameSync(bench.path(), bench.path('0.log.20260102-030405'))
    appendFileSync(bench.path('0.log.20260102-030405'), cri('c'))
    writeFileSync(bench.path(), cri('d'))
    await bench.round()
    expect((await bench.texts()).sort()).toEqual(['a', 'b', 'c', 'd'])
  })

  test('rotation while nobody looks: what was left of the old file is found by its inode', async () => {
    const bench = await new Bench().start()
    writeFileSync(bench.path(), cri('a'))
    await bench.round()
    await bench.stop()
    appendFileSync(bench.path(), cri('b'))
    renameSync(bench.path(), bench.path('0.log.20260102-030405'))
    writeFileSync(bench.path(), cri('c'))
    await bench.start()
    bench.startLoop()
    await expect.poll(() => bench.texts().then((texts) => texts.sort()), { timeout: 5000 }).toEqual(['a', 'b', 'c'])
  })

  test('several rotations between two looks: the files in between are read too, older ones that nobody asked for are not', async () => {
    const bench = await new Bench().start()
    const old = bench.path('0.log.20260101-000000')
    writeFileSync(old, cri('from before we came'))
    utimesSync(old, 1_700_000_000, 1_700_000_000)
    writeFileSync(bench.path(), cri('a'))
    await bench.round()
    // While it runs, and while it doesn't; the last one with the file that was known gone.
    for (const [i, isRunning] of [true, false, false].entries()) {
      if (!isRunning) await bench.stop()
      for (const n of [1, 2]) {
        renameSync(bench.path(), bench.path(`0.log.20260102-0${i}0${n}00`))
        writeFileSync(bench.path(), cri(`${i} ${n}`))
      }
      if (i === 2) unlinkSync(bench.path('0.log.20260102-020100'))
      if (!isRunning) await bench.start()
      await bench.round()
      await bench.round()
    }
    expect((await bench.texts()).sort()).toEqual(['0 1', '0 2', '1 1', '1 2', '2 1', '2 2', 'a'])
  })

  test('a container that filled and rotated its first file before we looked', async () => {
    const bench = await new Bench().start()
    await bench.round()
    writeFileSync(bench.path('0.log.20260102-030405'), cri('a'))
    // The test's clock is ahead of the one that writes files.
    utimesSync(bench.path('0.log.20260102-030405'), bench.clock.now() / 1000, bench.clock.now() / 1000)
    writeFileSync(bench.path(), cri('b'))
    await bench.round()
    await bench.round()
    expect((await bench.texts()).sort()).toEqual(['a', 'b'])
  })

  test('rotation by copy and truncate: the same file is read from its start again', async () => {
    const bench = await new Bench().start()
    writeFileSync(bench.path(), cri('a') + cri('b'))
    await bench.round()
    copyFileSync(bench.path(), bench.path('0.log.1'))
    truncateSync(bench.path())
    appendFileSync(bench.path(), `2026-01-02T03:04:06Z stdout F c\n`)
    await bench.round()
    expect(await bench.texts()).toEqual(['a', 'b', 'c'])
  })

  test('truncated and grown past the old end between two reads is noticed by the beginning', async () => {
    const bench = await new Bench().start()
    writeFileSync(bench.path(), cri('a'))
    await bench.round()
    writeFileSync(bench.path(), `2026-01-02T03:04:07Z stdout F x\n${cri('y')}${cri('z')}`)
    await bench.round()
    expect(await bench.texts()).toEqual(['a', 'x', 'y', 'z'])
  })

  test('a deleted file is read to its end while it is open', async () => {
    const bench = await new Bench().start()
    writeFileSync(bench.path(), cri('a'))
    await bench.round()
    appendFileSync(bench.path(), cri('b'))
    unlinkSync(bench.path())
    await bench.round()
    expect(await bench.texts()).toEqual(['a', 'b'])
  })

  test('a crash at any point reads nothing twice and misses nothing, with and without a snapshot', async () => {
    const bench = await new Bench().start()
    const written: string[] = []
    for (let round = 0; round < 8; round++) {
      for (let i = 0; i < 20; i++) {
        const text = `line ${round}-${i} ${'x'.repeat(i)}`
        written.push(text)
        appendFileSync(bench.path(), cri(text))
      }
      if (round === 5) renameSync(bench.path(), bench.path('0.log.20260102-030405'))
      await bench.round()
      if (round % 3 === 1) await bench.save()
      // No save: what the next life knows is the journal's records.
      await bench.stop()
      await bench.start()
    }
    await bench.round()
    expect(await bench.texts()).toEqual(written)
  })

  test('push-back pauses the reading and loses nothing', async () => {
    const bench = await new Bench().start()
    writeFileSync(bench.path(), cri('a') + cri('b'))
    bench.refuse = new SightlineError('too_many', 'full', { retryAfterMs: 250 })
    expect(await bench.round()).toBe(250)
    expect(await bench.texts()).toEqual([])
    bench.refuse = undefined
    await bench.round()
    expect(await bench.texts()).toEqual(['a', 'b'])
  })

  test('a large file becomes records below the limit', async () => {
    const bench = await new Bench().start()
    const lines = Array.from({ length: 30_000 }, (_, i) => `${i} ${'y'.repeat(i % 300)}`)
    writeFileSync(bench.path(), lines.map((line) => cri(line)).join(''))
    await bench.round()
    expect(await bench.texts()).toEqual(lines)
  })

  test('a line longer than allowed is cut, and the ones around it are whole', async () => {
    const bench = await new Bench().start()
    writeFileSync(bench.path(), cri('a') + cri('z'.repeat(200_000)) + cri('b'))
    await bench.round()
    const texts = await bench.texts()
    expect(texts.map((text) => text.length)).toEqual([1, 64 * 1024, 1])
  })
})
