/**
 * The road of a fleet: two collectors ship over a real Kafka to two query nodes, which keep logs themselves or in a real Elasticsearch. Every process and server is killed at
 * seeded instants and partitions move between the nodes; then everything that went in is found once, at either node, an alert reached its receivers once, and the ledgers balance.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { canRunElasticsearch, ElasticsearchServer } from '../harness/elasticsearch.ts'
import { eventually } from '../harness/eventually.ts'
import { ledgerAt, ownedBy, PARTITIONS, settled, startFleet, type Fleet } from '../harness/fleet.ts'
import { laterBody, linesOf, lokiVector, samplesAt, samplesIn, storedScrapes } from '../harness/found.ts'
import { whyNoKafka } from '../harness/kafka.ts'
import { pause, randoms } from '../harness/seeded.ts'

/** Another one: SEED=7 npx vitest run … */
const SEED = Number(process.env['SEED'] ?? 4_261_121)

const missing = whyNoKafka()

describe.each(['embedded', 'elasticsearch'] as const)('the wide road, logs %s', (logStore) => {
  const isShared = logStore === 'elasticsearch'
  const why = missing ?? (isShared && !canRunElasticsearch() ? 'no Elasticsearch' : undefined)
  let fleet: Fleet
  let hasFailed = false

  beforeAll(async () => {
    if (why === undefined) fleet = await startFleet(isShared ? await ElasticsearchServer.start() : undefined)
  }, 300_000)

  afterAll(() => fleet?.stop(hasFailed), 60_000)

  /** A failure tells the seed and what the processes wrote last. */
  const onTheRoad = (name: string, work: () => Promise<void>): void =>
    test(`${name}${why === undefined ? '' : ` (skipped: ${why})`}`, { timeout: 300_000, skip: why !== undefined }, async () => {
      expect.hasAssertions()
      try {
        await work()
      } catch (error) {
        hasFailed = true
        const outputs = [...fleet.nodes, ...fleet.collectors].map(({ folder, output }) => `${folder}:\n${output.slice(-1500)}`)
        throw new Error(`seed ${SEED}\n${outputs.join('\n')}`, { cause: error })
      }
    })

  onTheRoad('kills of every process and server, at seeded instants', async () => {
    const { nodes, collectors, kafka, elasticsearch } = fleet
    const random = randoms(SEED)
    const broker = { end: () => kafka.kill(), start: () => kafka.restart() }
    const index = elasticsearch === undefined ? [] : [{ end: () => elasticsearch.kill(), start: () => elasticsearch.restart() }]
    for (const victim of [nodes[0], collectors[0], broker, nodes[1], ...index, collectors[1], nodes[0]]) {
      await pause(500 + random.next().value! * 2000)
      await victim.end('SIGKILL')
      await pause(random.next().value! * 1000)
      await victim.start()
    }
    await settled(fleet)
    for (const process of [...nodes, ...collectors]) expect(process.isRunning).toBe(true)
  })

  onTheRoad('partitions move away and back while everything comes in', async () => {
    // Away for longer than its session: the other takes over; back: it gets its half again.
    for (const victim of fleet.nodes) {
      await victim.end('SIGKILL')
      const other = fleet.nodes.find((node) => node !== victim)!
      await eventually(async () => expect(await ownedBy(other)).toHaveLength(PARTITIONS), 40_000)
      await pause(1000)
      await victim.start(60_000)
      await settled(fleet)
      await eventually(async () => expect((await ownedBy(victim)).length).toBeGreaterThan(0), 40_000)
    }
  })

  onTheRoad('an alert reaches every receiver once, while the node that evaluates is killed, and its end too', async () => {
    const { nodes, shop, receivers } = fleet
    const every = (state: string): Map<string, number> => new Map(['slack', 'pagerduty', 'webhook'].map((name) => [`${name} ${state}`, 1]))
    await shop.break()
    await eventually(() => expect(receivers.counts).toEqual(every('firing')), 60_000)
    // What was told is noted a moment later; between the two a notification is sent again, as every Alertmanager would.
    await pause(500)
    const rulesAt = await Promise.all(nodes.map(async (node) => (await ownedBy(node)).includes(0)))
    const evaluating = nodes[rulesAt.indexOf(true)]!
    await evaluating.end('SIGKILL')
    await pause(5000)
    await evaluating.start(60_000)
    await settled(fleet)
    await pause(3000)
    expect(receivers.counts).toEqual(every('firing'))
    await shop.mend()
    const both = new Map([...every('firing'), ...every('resolved')])
    await eventually(() => expect(receivers.counts).toEqual(both), 90_000)
    // Either node shows the rules.
    for (const node of nodes) {
      const { data } = await node.get<{ data: { groups: { name: string }[] } }>('/api/v1/rules')
      expect(data.groups.map(({ name }) => name)).toEqual(['shop'])
    }
  })

  onTheRoad('every line is there once, in order, at either node', async () => {
    for (const [i, writer] of fleet.logs.entries()) {
      writer.stop()
      for (const node of fleet.nodes) {
        const lines = (): Promise<string[]> => linesOf(node, `{namespace="load", pod="writer-${i}", cluster="c${i}"}`)
        await eventually(async () => expect(await lines()).toEqual(writer.lines), 60_000)
      }
    }
  })

  onTheRoad('every stored scrape of the node exporter is whole', async () => {
    const { nodeExporter, nodes } = fleet
    if (nodeExporter === undefined) return expect(process.env['CI']).toBeUndefined()
    const stored = await storedScrapes(nodes[1])
    expect(stored.numberAt.size).toBeGreaterThan(20)
    for (const [time, number] of stored.numberAt) {
      const body = nodeExporter.bodies.get(number) ?? (await laterBody(nodeExporter, number))
      expect(samplesAt(stored.series, time)).toEqual(samplesIn(body))
    }
    // A scrape that was answered but not durable at a kill of its collector is gone: it can't be repeated.
    const found = new Set(stored.numberAt.values())
    expect(found.size).toBe(stored.numberAt.size)
    const between = [...nodeExporter.bodies.keys()].filter((number) => number < Math.max(...found) && !found.has(number))
    expect(between.length).toBeLessThanOrEqual(2)
  })

  onTheRoad('every acknowledged span is there once', async () => {
    const { spans, collectors, nodes } = fleet
    await spans.stop()
    const acknowledged = [...spans.acknowledged]
    expect(acknowledged.length).toBeGreaterThan(300)
    await eventually(async () => expect((await ledgerAt(collectors[1])).destinations[0]!.queuedRecords).toBe(0), 20_000)
    for (let i = 0; i < acknowledged.length; i += 20) {
      await Promise.all(
        acknowledged.slice(i, i + 20).map(async (ids, n) => {
          const [traceId, spanId] = ids.split(' ') as [string, string]
          const trace = await nodes[n % 2]!.get<{ data: { spans: { spanID: string }[] }[] }>(`/jaeger/api/traces/${traceId}`)
          expect(trace.data[0]!.spans.map((span) => span.spanID)).toEqual([spanId])
        }),
      )
    }
  })

  onTheRoad('the ledgers balance: what the collectors wrote is stored once over both nodes, no producer has a gap', async () => {
    const { nodes, collectors, shop } = fleet
    await shop.stopLoad()
    await eventually(async () => {
      const there = await Promise.all(nodes.map(ledgerAt))
      for (const ledger of there) {
        expect(ledger.stored.map(({ gaps, unaccounted }) => ({ gaps, unaccounted }))).toEqual(Array(3).fill({ gaps: 0, unaccounted: 0 }))
        expect(ledger.lost).toEqual([])
      }
      for (const [i, collector] of collectors.entries()) {
        const here = await ledgerAt(collector)
        expect(here.destinations[0]).toMatchObject({ queuedRecords: 0, lostRecords: 0, refusedItems: {} })
        const theirs = there.flatMap(({ producers }) => producers).filter(({ producer }) => producer === `edge-${i}`)
        const last = (of: string): number => Math.max(-1, ...theirs.filter(({ key }) => key === of).map((one) => one.lastSequence))
        // Scrapes go on while this is read, lines and spans don't.
        const still = here.journal.partitions.filter(({ key }) => !key.startsWith('metrics'))
        expect(still.map(({ key }) => [key, last(key)])).toEqual(still.map(({ key, end }) => [key, end - 1]))
      }
    }, 60_000)
    const stored = (await Promise.all(nodes.map(ledgerAt))).flatMap((ledger) => ledger.stored.filter(({ signal }) => signal === 'logs'))
    // Elasticsearch shows a line within a second of storing it.
    await eventually(async () => {
      const [lines] = await lokiVector(nodes[0], 'sum(count_over_time({region="here"}[1h]))')
      expect(Number(lines!.value[1])).toBe(stored.reduce((sum, one) => sum + one.stored, 0))
    }, 15_000)
    expect(stored.flatMap(({ dropped }) => Object.entries(dropped))).toEqual([])
  })
})
