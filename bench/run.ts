/** One run of the bench: the subjects, the rows one after another, and the result as a document. */
import { readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { SenderProcess } from './load/sender-process.ts'
import { commitOf, machine, type Commit, type Machine } from './measure/machine.ts'
import type { BenchArgs } from './args.ts'
import { CHECKOUT, LAYOUTS } from './layouts.ts'
import { ROWS, type Row, type RowContext, type RowResult } from './rows/index.ts'
import { Broker } from './subjects/broker.ts'
import { installedPrometheus, prometheusOf } from './subjects/prometheus.ts'
import { runningPeer } from './subjects/running.ts'
import type { StartSubject, Subject } from './subjects/subject.ts'

export interface BenchResult {
  readonly startedAt: string
  readonly seconds: number
  readonly machine: Machine
  readonly commit: Commit
  readonly section: string
  readonly layout: string
  readonly isQuick: boolean
  readonly seed: number
  readonly rounds: number
  readonly scale: number
  readonly checkpointMs: number
  readonly peer: { readonly name: string; readonly version: string } | undefined
  readonly rows: readonly RowResult[]
  /** Rows that ended with an error, and it. */
  readonly failed: Readonly<Record<string, string>>
}

/** What all rows of a quick run may take together; a row past its part stops after the round it is in. */
const QUICK_MS = 24_000
const FULL_ROW_MS = 600_000

export async function runBench(args: BenchArgs, tell: (line: string) => void): Promise<BenchResult> {
  let broker: Promise<Broker> | undefined
  const brokerOf = (): Promise<Broker> => (broker ??= Broker.start())
  const about = machine()
  try {
    const first = await LAYOUTS[args.layout]!({ name: 'sightline', checkout: CHECKOUT, version: versionOf(CHECKOUT) }, brokerOf)
    const peer = await peerOf(args, brokerOf)
    return await runRows(args, about, peer === undefined ? [first] : [first, peer], tell)
  } finally {
    await broker?.then(
      (running) => running.stop(),
      () => undefined,
    )
  }
}

async function runRows(
  args: BenchArgs,
  about: Machine,
  starts: readonly StartSubject[],
  tell: (line: string) => void,
): Promise<BenchResult> {
  const startedAt = new Date()
  const rows = ROWS.filter(
    ({ name, section }) => (args.section === 'all' || section === args.section) && (args.only.length === 0 || args.only.includes(name)),
  )
  const rounds = args.rounds ?? (args.isQuick ? 1 : 5)
  const checkpointMs = args.isQuick ? 200 : 5000
  const results: RowResult[] = []
  const failed: Record<string, string> = {}
  let peerSeen: BenchResult['peer']
  for (const [i, row] of rows.entries()) {
    const rowMs = args.isQuick ? Math.max(1000, (QUICK_MS - (Date.now() - startedAt.getTime())) / (rows.length - i)) : FULL_ROW_MS
    const rowStartMs = Date.now()
    try {
      const start = startAll(starts, checkpointMs, args.profileFolder, ([, other]) => {
        if (other !== undefined) peerSeen = { name: other.name, version: other.version }
      })
      results.push(await runRow(row, start, { ...args, rounds, endMs: rowStartMs + rowMs }))
    } catch (error) {
      failed[row.name] = error instanceof Error ? error.message : String(error)
    }
    tell(
      `${row.name}: ${((Date.now() - rowStartMs) / 1000).toFixed(1)} s${failed[row.name] === undefined ? '' : `, failed: ${failed[row.name]}`}`,
    )
  }
  return {
    startedAt: startedAt.toISOString(),
    seconds: (Date.now() - startedAt.getTime()) / 1000,
    machine: about,
    commit: commitOf(CHECKOUT),
    section: args.section,
    layout: args.layout,
    isQuick: args.isQuick,
    seed: args.seed,
    rounds,
    scale: args.scale,
    checkpointMs,
    peer: peerSeen,
    rows: results,
    failed,
  }
}

/** The second waits for the first, so that neither's start is in the other's way. */
function startAll(
  starts: readonly StartSubject[],
  checkpointMs: number,
  profileFolder: string | undefined,
  seen: (subjects: readonly Subject[]) => void,
): RowContext['start'] {
  return async (options) => {
    const subjects: Subject[] = []
    try {
      for (const start of starts) {
        subjects.push(await start({ checkpointMs, ...options, ...(profileFolder === undefined ? {} : { profileFolder }) }))
      }
    } catch (error) {
      for (const subject of subjects) await subject.finish('metrics')
      throw error
    }
    seen(subjects)
    return subjects
  }
}

async function runRow(
  row: Row,
  start: RowContext['start'],
  { isQuick, seed, rounds, scale, endMs }: { isQuick: boolean; seed: number; rounds: number; scale: number; endMs: number },
): Promise<RowResult> {
  const sender = new SenderProcess()
  try {
    return await row.run({ start, sender, isQuick, seed, rounds, scale, endMs })
  } finally {
    sender.stop()
  }
}

/** undefined: there is none. */
async function peerOf(
  { layout, beside, peer, peerPid, peerOtlp }: BenchArgs,
  brokerOf: () => Promise<Broker>,
): Promise<StartSubject | undefined> {
  if (beside !== undefined)
    return LAYOUTS[beside]!({ name: `layout ${beside}`, checkout: CHECKOUT, version: versionOf(CHECKOUT) }, brokerOf)
  if (peer === undefined) return undefined
  if (peerPid !== undefined) {
    const running = await runningPeer({ url: peer, pid: peerPid, otlpUrl: peerOtlp })
    return async () => running
  }
  if (peer === 'prometheus') {
    const installed = installedPrometheus()
    if (installed === undefined) throw new Error('cannot use the peer prometheus: there is no such program on the PATH')
    return prometheusOf(installed.version)
  }
  const checkout = resolve(peer)
  if (statSync(join(checkout, 'main.ts'), { throwIfNoEntry: false }) === undefined) {
    throw new Error(`cannot use the peer "${peer}": neither prometheus, nor a URL, nor a folder with a checkout of Sightline`)
  }
  return LAYOUTS[layout]!({ name: 'peer sightline', checkout, version: versionOf(checkout) }, brokerOf)
}

/** Version and commit of a checkout. */
function versionOf(checkout: string): string {
  const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { version: string }
  const { id, isDirty } = commitOf(checkout)
  return id === '' ? version : `${version} ${id.slice(0, 8)}${isDirty ? ' with changes' : ''}`
}
