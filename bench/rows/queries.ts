/**
 * Ten queries of a language over one data set, which each subject is given first. Each query is asked in turns of a few askings a subject (A B A B …), its window
 * moved back a little each time so that no answer is one that was kept; latency is measured here, processor time at the server. The answers' sizes must agree.
 */
import type { LoadSpec } from '../load/messages.ts'
import { mapSplit, minus, plus, type Split } from '../measure/split.ts'
import { percentile } from '../measure/statistics.ts'
import { cpuSplit } from '../subjects/parts.ts'
import { textOf, whyNot, type Intake, type Language, type Signal, type Subject } from '../subjects/subject.ts'
import { countedIn } from './counted.ts'
import { Figures } from './figures.ts'
import { startPrepared } from './prepared.ts'
import type { Row, RowContext, RowResult, Section } from './row.ts'

export interface QueryWindow {
  readonly startMs: number
  readonly endMs: number
  readonly stepMs: number
}

export interface BenchQuery {
  readonly name: string
  readonly query: string
  /** Asked at the window's end only. */
  readonly isInstant?: boolean
}

export interface QueryRow {
  readonly name: string
  readonly section: Section
  readonly language: Language
  readonly intake: Intake
  readonly signal: Signal
  readonly load: (context: RowContext) => LoadSpec
  readonly countQuery?: string
  readonly queries: readonly BenchQuery[]
  /** Path and parameters of one asking. */
  readonly pathOf: (query: BenchQuery, window: QueryWindow) => string
  /** How many series, lines or traces an answer holds. */
  readonly sizeOf: (answer: unknown) => number
}

export function queryRow(row: QueryRow): Row {
  return { name: row.name, section: row.section, run: (context) => runQueries(row, context) }
}

async function runQueries(row: QueryRow, context: RowContext): Promise<RowResult> {
  const spec = row.load(context)
  const { subjects } = await startPrepared(context, spec, 1, {})
  const missing: Record<string, string> = {}
  const figures = new Figures()
  const counts: Record<string, { sent: number; stored: number | undefined }> = {}
  try {
    const able = subjects.filter((subject) => {
      const lacking = ([row.intake, row.language] as const).find((ability) => subject.places[ability] === undefined)
      if (lacking !== undefined) missing[subject.name] = whyNot(subject, lacking)
      return lacking === undefined
    })
    for (const subject of able) {
      const before = await subject.storedItems(row.signal)
      const sent = await context.sender.send(0, subject.places[row.intake]!)
      if (sent.refused > 0) throw new Error(`${subject.name} refused ${sent.refused} requests: ${sent.firstRefusal}`)
      await subject.settle()
      counts[subject.name] = { sent: sent.items, stored: await countedIn(subject, row.signal, row.countQuery, spec.endMs, before) }
    }
    for (const query of row.queries) await measureQuery(row, query, context, able, spec.endMs, figures)
  } finally {
    for (const subject of subjects) await subject.finish(row.signal)
  }
  const parameters = { ...spec, ...shapeOf(context), rounds: context.rounds }
  return { row: row.name, section: row.section, parameters, figures: figures.all(), counts, journalBytes: {}, missing }
}

function shapeOf({ isQuick }: RowContext): { rangeMs: number; stepMs: number; warmUps: number; askingsARound: number } {
  return {
    rangeMs: isQuick ? 900_000 : 1_800_000,
    stepMs: isQuick ? 15_000 : 30_000,
    warmUps: isQuick ? 2 : 5,
    askingsARound: isQuick ? 4 : 10,
  }
}

async function measureQuery(
  row: QueryRow,
  query: BenchQuery,
  context: RowContext,
  subjects: readonly Subject[],
  dataEndMs: number,
  figures: Figures,
): Promise<void> {
  const { rangeMs, stepMs, warmUps, askingsARound } = shapeOf(context)
  const latencies = new Map<Subject, number[]>(subjects.map((subject) => [subject, []]))
  const cpuSeconds = new Map<Subject, Split>()
  const sizes = new Map<Subject, number>()
  const ask = async (subject: Subject, turn: number): Promise<number> => {
    const endMs = Math.floor((dataEndMs - 1000 * (turn + 1)) / 1000) * 1000
    const path = row.pathOf(query, { startMs: endMs - rangeMs, endMs, stepMs })
    const startMs = performance.now()
    const text = await textOf(`${subject.places[row.language]!}${path}`)
    const wallMs = performance.now() - startMs
    if (turn === 0) sizes.set(subject, row.sizeOf(JSON.parse(text)))
    return wallMs
  }
  let turn = 0
  for (; turn < warmUps; turn++) for (const subject of subjects) await ask(subject, turn)
  const sizesFound = new Set(sizes.values())
  if (sizesFound.size > 1)
    throw new Error(
      `the answers to ${row.name} "${query.name}" differ: ${[...sizes].map(([{ name }, size]) => `${name} has ${size}`).join(', ')}`,
    )
  if (sizesFound.has(0)) throw new Error(`${row.name} "${query.name}" has an empty answer`)
  for (let round = 0; round < context.rounds; round++, turn += askingsARound) {
    if (round > 0 && Date.now() > context.endMs) break
    for (const subject of subjects) {
      const before = cpuSplit(subject)
      for (let i = 0; i < askingsARound; i++) latencies.get(subject)!.push(await ask(subject, turn + i))
      const used = minus(cpuSplit(subject), before)
      const sofar = cpuSeconds.get(subject)
      cpuSeconds.set(subject, sofar === undefined ? used : plus(sofar, used))
    }
  }
  for (const subject of subjects) {
    const own = latencies.get(subject)!
    figures.add(query.name, 'ms p50', 'less', subject.name, percentile(own, 0.5))
    figures.add(query.name, 'ms p95', 'less', subject.name, percentile(own, 0.95))
    figures.add(
      query.name,
      'ms CPU',
      'less',
      subject.name,
      mapSplit(cpuSeconds.get(subject)!, (seconds) => (seconds * 1000) / own.length),
    )
  }
}
