/**
 * A log query's stages put together. Line filters that come before the line is changed run first, on bytes; texts that every wanted line holds are
 * told to the store. Errors while compiling are bad_data.
 */
import { compileMatcher } from '../../lib/regexp/index.ts'
import { messageOf } from '../../lib/runtime/errors.ts'
import type { Matcher } from '../../lib/model/index.ts'
import type { LogExpr, RangeAggregation, Stage } from './ast.ts'
import { parseError } from './errors.ts'
import { compileStage, isNeedleOnly, namesIn, needlesOf, type Entry, type LineStage } from './stages/index.ts'

export interface Pipeline {
  readonly matchers: readonly Matcher[]
  readonly needles: readonly string[]
  /** On the stored line. */
  readonly filters: readonly LineStage[]
  readonly stages: readonly LineStage[]
  /** Every line with the same stored labels that passes `filters` fares the same. */
  readonly isByLabels: boolean
}

const CHANGES_LINE: readonly Stage['kind'][] = ['line_format', 'unpack', 'decolorize']

export function compilePipeline(log: LogExpr): Pipeline {
  const changeAt = log.stages.findIndex((stage) => CHANGES_LINE.includes(stage.kind))
  const needles = new Set<string>()
  const filters: LineStage[] = []
  const stages: LineStage[] = []
  for (const [i, stage] of log.stages.entries()) {
    const compiled = compileChecked(stage)
    if (stage.kind !== 'line' || (changeAt !== -1 && i > changeAt)) {
      stages.push(compiled)
      continue
    }
    for (const needle of needlesOf(stage)) needles.add(needle)
    if (!isNeedleOnly(stage)) filters.push(compiled)
  }
  const isByLabels = stages.every((stage) => stage.reads === 'labels')
  return { matchers: log.matchers.map((spec) => compileMatcher(spec)), needles: [...needles], filters, stages, isByLabels }
}

function compileChecked(stage: Stage): LineStage {
  try {
    return compileStage(stage)
  } catch (error) {
    const message = messageOf(error)
    throw message.startsWith('parse error') ? error : parseError('', message)
  }
}

export function passes(stages: readonly LineStage[], entry: Entry): boolean {
  for (const stage of stages) if (!stage.process(entry)) return false
  return true
}

/** The labels a metric query can need when only `kept` come out of it; undefined = any. */
export function wantedLabels(node: RangeAggregation, kept: readonly string[] | undefined): ReadonlySet<string> | undefined {
  if (kept === undefined) return undefined
  const wanted = new Set(kept)
  for (const stage of node.log.stages) {
    if (stage.kind === 'line_format') return undefined
    if (stage.kind === 'label_filter') for (const name of namesIn(stage.filter)) wanted.add(name)
    if (stage.kind === 'label_format') {
      for (const format of stage.formats) {
        if (format.kind === 'template') return undefined
        wanted.add(format.source)
      }
    }
    if (stage.kind === 'drop' || stage.kind === 'keep') {
      for (const { name, matcher } of stage.labels) if (matcher !== undefined) wanted.add(name)
    }
  }
  if (node.unwrap !== undefined) {
    wanted.add(node.unwrap.label)
    for (const filter of node.unwrap.filters) for (const name of namesIn(filter)) wanted.add(name)
  }
  return wanted
}
