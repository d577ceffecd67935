/**
 * The ways in that a sender pushes to, and tailing. A round sends one slice and ends when the checkpoint behind it is over, so that filters, compression and
 * files are part of the price; the share until the last acknowledgement is told beside it. The disk is looked at after an orderly stop.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LoadSpec } from '../load/messages.ts'
import { cpuSplit, rssSplit } from '../subjects/parts.ts'
import { pause, whyNot, type Intake, type Signal, type Subject } from '../subjects/subject.ts'
import { eachNs, mebibytes, minus, type Split } from '../measure/split.ts'
import { countedIn } from './counted.ts'
import { Figures } from './figures.ts'
import { finishAll } from './kept.ts'
import { startPrepared } from './prepared.ts'
import type { Row, RowContext, RowResult, Section } from './row.ts'

export interface IngestRow {
  readonly name: string
  readonly section: Section
  readonly intake: Intake
  readonly signal: Signal
  /** `sample`, `line`, `span`. */
  readonly item: string
  readonly load: (context: RowContext) => LoadSpec
  /** A PromQL or LogQL query that counts the load's items; for spans the store's counter is taken. */
  readonly countQuery?: string
}

export function ingestRow(row: IngestRow): Row {
  return { name: row.name, section: row.section, run: (context) => runIngest(row, context) }
}

async function runIngest(row: IngestRow, context: RowContext): Promise<RowResult> {
  const spec = row.load(context)
  const tailRoot = row.intake === 'tail' ? mkdtempSync(join(tmpdir(), 'sightline-bench-pods-')) : undefined
  const { subjects, sentBytes } = await startPrepared(context, spec, context.rounds + 1, tailRoot === undefined ? {} : { tailRoot })
  const missing: Record<string, string> = {}
  const counts: Record<string, { sent: number; stored: number | undefined }> = {}
  const figures = new Figures()
  let journalBytes: RowResult['journalBytes'] = {}
  const able = subjects.filter((subject) => {
    if (subject.places[row.intake] !== undefined) return true
    missing[subject.name] = whyNot(subject, row.intake)
    return false
  })
  try {
    const before = new Map(await Promise.all(able.map(async (subject) => [subject, await subject.storedItems(row.signal)] as const)))
    for (let round = 0; round <= context.rounds; round++) {
      if (round > 1 && Date.now() > context.endMs) break
      for (const subject of able) {
        const sent = await measureRound(row, context, subject, round, figures)
        counts[subject.name] = { sent: (counts[subject.name]?.sent ?? 0) + sent, stored: undefined }
      }
    }
    for (const subject of able) {
      counts[subject.name]!.stored = await countedIn(subject, row.signal, row.countQuery, spec.endMs, before.get(subject))
      figures.add('after the load', 'MiB RSS', 'less', subject.name, mebibytes(rssSplit(subject)))
    }
  } finally {
    journalBytes = await finishAll(subjects, row.signal, row.item, counts, figures)
    if (tailRoot !== undefined) rmSync(tailRoot, { recursive: true, force: true })
  }
  const parameters = { ...spec, rounds: context.rounds, sentBytes }
  return { row: row.name, section: row.section, parameters, figures: figures.all(), counts, journalBytes, missing }
}

/** Round 0 warms up and leaves no figure. */
async function measureRound(row: IngestRow, context: RowContext, subject: Subject, round: number, figures: Figures): Promise<number> {
  const place = subject.places[row.intake]!
  const cpuBefore = cpuSplit(subject)
  const storedBefore = row.intake === 'tail' ? ((await subject.storedItems(row.signal)) ?? 0) : 0
  const startMs = performance.now()
  const sent = await context.sender.send(round, place)
  if (sent.refused > 0) throw new Error(`${subject.name} refused ${sent.refused} of ${sent.requests} requests: ${sent.firstRefusal}`)
  if (row.intake === 'tail') await allStored(subject, row.signal, storedBefore + sent.items)
  const wallMs = performance.now() - startMs
  const cpuAtAck = minus(cpuSplit(subject), cpuBefore)
  await subject.arrived?.()
  const arrivedMs = performance.now() - startMs
  // A quick run doesn't wait for the warm-up's checkpoint: some of it is then paid by the round.
  if (round > 0 || !context.isQuick) await subject.settle()
  const cpuSeconds = minus(cpuSplit(subject), cpuBefore)
  if (round > 0) {
    const of = (unit: string, better: 'more' | 'less', value: number | Split): void =>
      figures.add('ingest', unit, better, subject.name, value)
    of(`${row.item}s a CPU-second`, 'more', sent.items / cpuSeconds.whole)
    of(`ns CPU a ${row.item}`, 'less', eachNs(cpuSeconds, sent.items))
    of(`ns CPU a ${row.item} until the last answer`, 'less', eachNs(cpuAtAck, sent.items))
    of(`${row.item}s a second of wall time`, 'more', (sent.items * 1000) / wallMs)
    if (subject.arrived !== undefined) of(`${row.item}s a second until stored`, 'more', (sent.items * 1000) / arrivedMs)
  }
  return sent.items
}

const TAIL_LIMIT_MS = 120_000

async function allStored(subject: Subject, signal: Signal, expected: number): Promise<void> {
  const endMs = Date.now() + TAIL_LIMIT_MS
  for (;;) {
    const stored = (await subject.storedItems(signal)) ?? 0
    if (stored >= expected) return
    if (Date.now() > endMs) throw new Error(`${subject.name} has ${stored} of ${expected} lines after ${TAIL_LIMIT_MS} ms`)
    await pause(100)
  }
}
