/**
 * One target's series from scrape to scrape: which labels a series has after relabeling, which column of the layout it is, and which
 * columns went stale. The layout changes only when a new series appears, or when many have gone.
 *
 * A row is good until the next one is asked for: both lie in the same memory.
 */
import type { ScrapeConfig } from '../../lib/config/index.ts'
import { CELL_ABSENT, CELL_FLOAT, CELL_STALE, hasLabel, labelsOf, labelsWith, METRIC_NAME, type Labels } from '../../lib/model/index.ts'
import type { Relabeler } from '../../lib/relabel/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import { ExpositionParser, type Exposition } from '../../lib/wire/prometheus-text/index.ts'
import { groupOf, layoutOf, type Row, type RowExemplar } from '../../lib/wire/rows/index.ts'
import { Columns } from './columns.ts'

/** The series every scrape adds, in this order, as the first columns of the layout. */
const REPORT = [
  'up',
  'scrape_duration_seconds',
  'scrape_samples_scraped',
  'scrape_samples_post_metric_relabeling',
  'scrape_series_added',
] as const

const DROPPED = -1
/** Columns that ended leave the layout when they are more than this share of it. */
const DEAD_SHARE_MAX = 0.3

export interface ScrapeOptions {
  readonly config: ScrapeConfig
  readonly targetLabels: Labels
  /** Added where a series has no such label: `global.external_labels` and `cluster`. */
  readonly externalLabels: Labels
  readonly metricRelabeler: Relabeler
}

export interface ScrapeResult {
  readonly rows: readonly Row[]
  readonly scraped: number
  readonly kept: number
  readonly added: number
}

export class TargetSamples {
  readonly #options: ScrapeOptions
  readonly #group: string
  /** By ref of the parser: the column, or DROPPED. */
  #columnOf: number[] = []
  #columns: Columns
  /** Columns that had a sample of the scrape's own time in the last row: they get a stale marker when they don't come again. */
  #live = new Uint8Array(64)
  /** The last row's: the next one is written over it. */
  #values = new Float64Array(0)
  #cells = new Uint8Array(0)
  #parsers = new Map<'text' | 'openmetrics', ExpositionParser>()
  #added = 0

  constructor(options: ScrapeOptions) {
    this.#options = options
    this.#group = groupOf(options.targetLabels)
    this.#columns = new Columns(this.#group)
    for (const name of REPORT) this.#columns.add(this.#withExternal(labelsWith(options.targetLabels, METRIC_NAME, name)))
  }

  /** Reads a body. Errors: bad_data for text that doesn't parse or a limit that is passed; the series then go stale with `failed`. */
  parse(format: 'text' | 'openmetrics', body: Buffer): Exposition {
    let parser = this.#parsers.get(format)
    if (parser === undefined) {
      parser = new ExpositionParser({ format, onSeries: (labels) => this.#addSeries(labels) })
      this.#parsers.set(format, parser)
    }
    return parser.parse(body)
  }

  /** The rows of a scrape that worked. Errors: bad_data where more samples are left than `sample_limit`. */
  succeeded(exposition: Exposition, timestampMs: number, durationSeconds: number): ScrapeResult {
    const { count, refs, values, timestamps } = exposition
    const honorsTimes = this.#options.config.honor_timestamps && timestamps !== undefined
    const out = this.#newRow()
    const timed = new Map<number, { labels: Labels[]; values: number[] }>()
    let kept = 0
    for (let i = 0; i < count; i++) {
      const column = this.#columnOf[refs[i]!]!
      if (column === DROPPED) continue
      kept++
      if (honorsTimes && !Number.isNaN(timestamps[i]!)) {
        addTimed(timed, timestamps[i]!, this.#columns.labelsOf(column), values[i]!)
        continue
      }
      // Two lines of the same series: the first counts.
      if (out.cells[column] === CELL_FLOAT) continue
      out.values[column] = values[i]!
      out.cells[column] = CELL_FLOAT
    }
    const limit = this.#options.config.sample_limit ?? 0
    if (limit > 0 && kept > limit)
      throw new SightlineError('bad_data', `sample limit exceeded: ${kept} samples, at most ${limit} are allowed`)
    const exemplars = this.#exemplarsOf(exposition, timestampMs)
    const result = { scraped: count, kept, added: this.#added }
    this.#added = 0
    const row = this.#finish(out, timestampMs, [1, durationSeconds, count, kept, result.added])
    const timedRows = [...timed].map(([ms, { labels, values: cells }]) => ({
      layout: layoutOf(this.#group, labels),
      timestampMs: ms,
      values: Float64Array.from(cells),
    }))
    return { ...result, rows: [exemplars.length === 0 ? row : { ...row, exemplars }, ...timedRows] }
  }

  /** The row of a scrape that failed: `up` is 0 and every series of the last one is stale. */
  failed(timestampMs: number, durationSeconds: number): Row {
    this.#added = 0
    return this.#finish(this.#newRow(), timestampMs, [0, durationSeconds, 0, 0, 0])
  }

  /** The last row of a target that went away: everything is stale, the report series too. */
  ended(timestampMs: number): Row {
    return this.#finish(this.#newRow(), timestampMs, undefined)
  }

  #newRow(): { values: Float64Array; cells: Uint8Array } {
    const { length } = this.#columns
    if (this.#values.length === length) {
      this.#values.fill(0)
      this.#cells.fill(0)
    } else {
      this.#values = new Float64Array(length)
      this.#cells = new Uint8Array(length)
    }
    return { values: this.#values, cells: this.#cells }
  }

  #finish(out: { values: Float64Array; cells: Uint8Array }, timestampMs: number, report: readonly number[] | undefined): Row {
    const { values, cells } = out
    for (const [column, value] of (report ?? []).entries()) {
      values[column] = value
      cells[column] = CELL_FLOAT
    }
    let allFloats = true
    let dead = 0
    for (let column = 0; column < cells.length; column++) {
      const isLive = cells[column] === CELL_FLOAT
      if (!isLive) {
        allFloats = false
        if (this.#live[column] === 1) cells[column] = CELL_STALE
        else {
          cells[column] = CELL_ABSENT
          dead++
        }
      }
      this.#live[column] = isLive ? 1 : 0
    }
    const row = { layout: this.#columns.layout(), timestampMs, values, ...(allFloats ? {} : { cells }) }
    if (dead > this.#columns.length * DEAD_SHARE_MAX && dead > REPORT.length) this.#dropDead(cells)
    return row
  }

  /** Takes columns that ended out of the layout; their series are new again when they come back. */
  #dropDead(cells: Uint8Array): void {
    const isDead = (column: number): boolean => column >= REPORT.length && cells[column] === CELL_ABSENT
    const moved = new Int32Array(this.#columns.length).fill(DROPPED)
    const live = new Uint8Array(this.#live.length)
    let kept = 0
    for (let column = 0; column < moved.length; column++) {
      if (isDead(column)) continue
      live[kept] = this.#live[column]!
      moved[column] = kept++
    }
    const isGone = (ref: number): boolean => {
      const column = this.#columnOf[ref]!
      return column !== DROPPED && moved[column] === DROPPED
    }
    for (const parser of this.#parsers.values()) parser.forget(isGone)
    this.#columnOf = this.#columnOf.map((column) => (column === DROPPED ? DROPPED : moved[column]!))
    this.#columns = this.#columns.without(isDead)
    this.#live = live
  }

  #addSeries(exposed: Labels): number {
    const ref = this.#columnOf.length
    const labels = this.#options.metricRelabeler.apply(
      mergeTargetLabels(exposed, this.#options.targetLabels, this.#options.config.honor_labels),
    )
    if (labels === undefined || !hasLabel(labels, METRIC_NAME)) {
      this.#columnOf.push(DROPPED)
      return ref
    }
    checkLabelLimits(labels, this.#options.config)
    const column = this.#columns.add(this.#withExternal(labels))
    if (column >= this.#live.length) {
      const live = new Uint8Array(this.#live.length * 2)
      live.set(this.#live)
      this.#live = live
    }
    this.#added++
    this.#columnOf.push(column)
    return ref
  }

  #withExternal(labels: Labels): Labels {
    let out = labels
    const { externalLabels } = this.#options
    for (let i = 0; i < externalLabels.length; i += 2) {
      if (!hasLabel(out, externalLabels[i]!)) out = labelsWith(out, externalLabels[i]!, externalLabels[i + 1]!)
    }
    return out
  }

  #exemplarsOf({ exemplars, refs }: Exposition, timestampMs: number): RowExemplar[] {
    const out: RowExemplar[] = []
    for (const { sample, labels, value, timestampMs: exposedMs } of exemplars) {
      const column = this.#columnOf[refs[sample]!]!
      if (column !== DROPPED) out.push({ column, labels, value, timestampMs: Number.isNaN(exposedMs) ? timestampMs : exposedMs })
    }
    return out
  }
}

function addTimed(timed: Map<number, { labels: Labels[]; values: number[] }>, ms: number, labels: Labels, value: number): void {
  const row = timed.get(ms) ?? { labels: [], values: [] }
  row.labels.push(labels)
  row.values.push(value)
  timed.set(ms, row)
}

/** Target labels win; with `honor_labels` the exposed ones do, and otherwise theirs are kept as `exported_<name>`. */
function mergeTargetLabels(exposed: Labels, target: Labels, honorLabels: boolean): Labels {
  const merged = new Map<string, string>()
  for (let i = 0; i < exposed.length; i += 2) merged.set(exposed[i]!, exposed[i + 1]!)
  for (let i = 0; i < target.length; i += 2) {
    const name = target[i]!
    const existing = merged.get(name)
    if (existing !== undefined && honorLabels) continue
    if (existing !== undefined) {
      let exported = `exported_${name}`
      while (merged.has(exported)) exported = `exported_${exported}`
      merged.set(exported, existing)
    }
    merged.set(name, target[i + 1]!)
  }
  return labelsOf(merged)
}

function checkLabelLimits(labels: Labels, config: ScrapeConfig): void {
  const { label_limit: count = 0, label_name_length_limit: nameLength = 0, label_value_length_limit: valueLength = 0 } = config
  if (count > 0 && labels.length / 2 > count) {
    throw new SightlineError('bad_data', `label_limit exceeded: a series has ${labels.length / 2} labels, at most ${count} are allowed`)
  }
  for (let i = 0; i < labels.length; i += 2) {
    if (nameLength > 0 && Buffer.byteLength(labels[i]!) > nameLength) {
      throw new SightlineError(
        'bad_data',
        `label_name_length_limit exceeded: label name ${labels[i]!.slice(0, 100)}, at most ${nameLength} bytes are allowed`,
      )
    }
    if (valueLength > 0 && Buffer.byteLength(labels[i + 1]!) > valueLength) {
      throw new SightlineError(
        'bad_data',
        `label_value_length_limit exceeded: value of ${labels[i]!}, at most ${valueLength} bytes are allowed`,
      )
    }
  }
}
