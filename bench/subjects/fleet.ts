/**
 * Sightline as a fleet: a collector that takes everything in and ships it, over HTTP to a query node or through Kafka to as many as there are. Loads go to the
 * collector, queries to the first node; time and memory are those of all our processes, and apart by role.
 */
import { join } from 'node:path'
import type { Ledger } from '../../ledger.ts'
import type { Broker } from './broker.ts'
import type { SightlineChoice } from './sightline.ts'
import { apisOf, placesOf, sourcesOf, SightlineProgram, tailFolderOf } from './sightline-program.ts'
import { pause, quiet, sumOf, type Part, type StartSubject } from './subject.ts'

export interface FleetShape {
  /** What lies between the collector and the nodes; with Kafka, the run's broker. */
  readonly road: 'http' | Broker
  readonly queryNodes: number
}

const START_LIMIT_MS = 60_000
const ARRIVAL_LIMIT_MS = 300_000
const ASK_EVERY_MS = 100
/** Of each process: what a client of Kafka's group and a forwarder that waits use is not work. */
const IDLE_SHARE = 0.05

export function fleetOf({ name, checkout, version }: SightlineChoice, { road, queryNodes }: FleetShape): StartSubject {
  return async (options) => {
    const { checkpointMs, profileFolder } = options
    const create = (role: 'collector' | 'query', process: string): Promise<SightlineProgram> =>
      SightlineProgram.create({
        name: `${name}, ${process}`,
        checkout,
        role,
        profileFolder: profileFolder === undefined ? undefined : join(profileFolder, process),
      })
    const collector = await create('collector', 'collector')
    const nodes = await Promise.all(Array.from({ length: queryNodes }, (_, i) => create('query', `query-${i}`)))
    const all = [collector, ...nodes]
    const prefix = road === 'http' ? '' : road.newPrefix()
    const kafka = road === 'http' ? [] : [`kafka: { brokers: ['${road.address}'], topic_prefix: ${prefix}, group_id: ${prefix} }`]
    const journal = road === 'http' ? [] : ['journal: { type: kafka }']
    const tailFolder = tailFolderOf(name, options)
    const end = async (): Promise<void> => {
      await collector.end()
      await Promise.all(nodes.map((node) => node.end()))
    }
    try {
      await Promise.all(nodes.map((node, i) => node.start([...nodeSections(i, nodes, checkpointMs), ...journal, ...kafka])))
      if (road !== 'http') await allOwned(nodes)
      const ship = road === 'http' ? `{ type: http, name: centre, url: '${nodes[0]!.url}' }` : '{ type: kafka, name: road }'
      await collector.start(['node: edge-0', `ship: [${ship}]`, ...kafka, ...sourcesOf(options, tailFolder)])
    } catch (error) {
      await end()
      for (const program of all) program.remove()
      throw error
    }
    const cpuSeconds = (): number => sumOf(all, (program) => program.cpuSeconds())
    const arrived = (): Promise<void> => allArrived(collector, nodes)
    return {
      name,
      version,
      places: { ...placesOf(collector, options, tailFolder), ...apisOf(nodes[0]!) },
      parts: [partOf('collector', [collector]), partOf('query', nodes), ...(road === 'http' ? [] : [road.part])],
      cpuSeconds,
      rssBytes: () => sumOf(all, (program) => program.rssBytes()),
      storedItems: async (signal) => sumOf(await Promise.all(nodes.map((node) => node.storedItems(signal))), (items) => items),
      arrived,
      async settle() {
        await arrived()
        await pause(checkpointMs + 100)
        await quiet({ cpuSeconds }, all.length * IDLE_SHARE)
      },
      async finish(signal) {
        await end()
        const kept = {
          storeBytes: sumOf(nodes, (node) => node.storeBytes(signal)),
          journalBytes: {
            collector: collector.journalBytes(),
            ...(road === 'http' ? { query: nodes[0]!.journalBytes() } : { kafka: road.topicBytes(`${prefix}.${signal}`) }),
          },
        }
        for (const program of all) program.remove()
        return kept
      },
    }
  }
}

function nodeSections(i: number, nodes: readonly SightlineProgram[], checkpointMs: number): string[] {
  return [
    `node: query-${i}`,
    `shards: { checkpoint_interval: ${checkpointMs}ms }`,
    ...(nodes.length === 1 ? [] : [`query_cluster: { nodes: [${nodes.map(({ url }) => `'${url}'`).join(', ')}] }`]),
  ]
}

function partOf(role: string, programs: readonly SightlineProgram[]): Part {
  return {
    role,
    isOurs: true,
    cpuSeconds: () => sumOf(programs, (program) => program.cpuSeconds()),
    rssBytes: () => sumOf(programs, (program) => program.rssBytes()),
  }
}

/** Every partition lies with a node, and no node is without: moves in the middle of a round would be measured. */
async function allOwned(nodes: readonly SightlineProgram[]): Promise<void> {
  const endMs = Date.now() + START_LIMIT_MS
  for (;;) {
    const owned = await Promise.all(nodes.map((node) => node.get<{ owned: number[] }>('/sightline/api/v1/shard/status')))
    const counts = owned.map((status) => status.owned.length)
    if (Math.min(...counts) > 0 && Math.max(...counts) - Math.min(...counts) <= 1) return
    if (Date.now() > endMs) throw new Error(`the partitions are not shared after ${START_LIMIT_MS} ms: the nodes have ${counts.join(', ')}`)
    await pause(ASK_EVERY_MS)
  }
}

/**
 * The collector has shipped what its journal holds, and the nodes have applied as many items. Errors: something was refused or lost on the way, a node has a hole in
 * what came, or it takes too long.
 */
async function allArrived(collector: SightlineProgram, nodes: readonly SightlineProgram[]): Promise<void> {
  const endMs = Date.now() + ARRIVAL_LIMIT_MS
  for (;;) {
    const [destination] = (await collector.get<Ledger>('/sightline/api/v1/ledger')).destinations
    const { queuedRecords, shippedItems, refusedItems, lostRecords, lastError } = destination!
    if (lostRecords > 0 || Object.keys(refusedItems).length > 0) {
      throw new Error(`the collector lost ${lostRecords} records, and the road refused items: ${JSON.stringify(refusedItems)}`)
    }
    if (queuedRecords === 0) {
      const ledgers = await Promise.all(nodes.map((node) => node.get<Ledger>('/sightline/api/v1/ledger')))
      const stored = ledgers.flatMap((ledger) => ledger.stored)
      const gaps = sumOf(stored, (one) => one.gaps)
      if (gaps > 0) throw new Error(`the nodes miss ${gaps} records of what the collector shipped`)
      const applied = sumOf(stored, ({ items }) => items)
      if (applied >= shippedItems) return
      if (Date.now() > endMs) throw new Error(`the nodes applied ${applied} of ${shippedItems} items after ${ARRIVAL_LIMIT_MS} ms`)
    } else if (Date.now() > endMs) {
      throw new Error(`the collector still has ${queuedRecords} records after ${ARRIVAL_LIMIT_MS} ms: ${lastError ?? 'no error'}`)
    }
    await pause(ASK_EVERY_MS)
  }
}
