/** Selectors against storage: what a query fetches, charges against its limit, and turns into columns or windows. */
import { type Matcher, type SeriesSamples } from '../../lib/model/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { Annotations } from './annotations.ts'
import type { AtModifier, DurationValue, MatrixSelector, VectorSelector } from './ast.ts'
import { ColumnBuilder, type Column, type Grid } from './columns.ts'
import { resolveDuration, type QueryRange } from './duration.ts'
import { smoothInto } from './functions/extended.ts'
import { lookbackInto, type LookbackResult } from './functions/lookback.ts'
import { splitSamples, type RangeSeries } from './functions/range-function.ts'
import type { MetricsQueryable, QueryContext, RangeRequest, RangeResult } from './storage.ts'

/** A range vector over steps: the series and the right edge of each step's window. */
export interface RangeVector {
  readonly series: readonly RangeSeries[]
  readonly ends: Float64Array
  readonly rangeMs: number
  /** By series: the name is already to be dropped. */
  readonly dropNames?: readonly boolean[]
}

interface SelectionOptions {
  readonly queryable: MetricsQueryable
  readonly context: QueryContext
  readonly query: string
  readonly range: QueryRange
  readonly lookbackMs: number
  readonly annotations: Annotations
}

export class Selection {
  readonly #options: SelectionOptions
  /** Samples fetched or made so far. */
  samples = 0

  constructor(options: SelectionOptions) {
    this.#options = options
  }

  get lookbackMs(): number {
    return this.#options.lookbackMs
  }

  /** @throws too_large where the query holds more samples than it may */
  charge(samples: number): void {
    this.samples += samples
    if (this.samples > this.#options.context.samplesMax) {
      throw new SightlineError('too_large', 'query processing would load too many samples into memory in query execution')
    }
  }

  /** The instants a selector or subquery looks at, one a step: `@` and offset applied. */
  stepTimes(node: { readonly offset?: DurationValue; readonly at?: AtModifier }, grid: Grid): Float64Array {
    const { query, range } = this.#options
    const offsetMs = node.offset === undefined ? 0 : resolveDuration(query, node.offset, range, false)
    const at = node.at
    if (at !== undefined) {
      const fixed = at.kind === 'time' ? at.ms : at.kind === 'start' ? range.startMs : range.endMs
      return new Float64Array(grid.count).fill(fixed - offsetMs)
    }
    return Float64Array.from({ length: grid.count }, (_, k) => grid.startMs + k * grid.stepMs - offsetMs)
  }

  async instant(selector: VectorSelector, grid: Grid, result: LookbackResult): Promise<Column[]> {
    const { lookbackMs } = this.#options
    const times = this.stepTimes(selector, grid)
    const ahead = selector.smoothed ? lookbackMs : 0
    const all = await this.select(selector.matchers, times[0]! - lookbackMs + 1, times.at(-1)! + ahead)
    const out: Column[] = []
    for (const series of all) {
      const builder = new ColumnBuilder(grid.count)
      if (selector.smoothed && result === 'value')
        smoothInto(series, times, lookbackMs, builder, this.#options.annotations.at(selector.start))
      else lookbackInto(series, times, lookbackMs, builder, result)
      if (builder.used) out.push(builder.build(series.labels))
    }
    this.charge(out.length * grid.count)
    return out
  }

  async range(expr: MatrixSelector, grid: Grid): Promise<RangeVector> {
    const { query, range, lookbackMs } = this.#options
    const { selector } = expr
    const rangeMs = resolveDuration(query, expr.range, range, true)
    const ends = this.stepTimes(selector, grid)
    const before = selector.anchored || selector.smoothed ? lookbackMs : 0
    const after = selector.smoothed ? lookbackMs : 0
    const all = await this.select(selector.matchers, ends[0]! - rangeMs - before + 1, ends.at(-1)! + after)
    return { series: all.map(splitSamples), ends, rangeMs }
  }

  /** Raw samples in (end − range, end] for an instant query whose result is a range vector. */
  async raw(expr: MatrixSelector, grid: Grid): Promise<RangeVector> {
    return this.range({ ...expr, selector: { ...expr.selector, anchored: false, smoothed: false } }, grid)
  }

  /** Info series by matchers, looked up at the times the base selector looks at. @throws execution where one is a histogram */
  async infoSeries(
    matchers: readonly Matcher[],
    timing: { readonly offset: DurationValue; readonly at?: AtModifier },
    grid: Grid,
  ): Promise<{ column: Column; times: Float64Array }[]> {
    const { lookbackMs } = this.#options
    const times = this.stepTimes(timing, grid)
    const all = await this.select(matchers, times[0]! - lookbackMs + 1, times.at(-1)!)
    return all.flatMap((series) => {
      const value = new ColumnBuilder(grid.count)
      const time = new ColumnBuilder(grid.count)
      lookbackInto(series, times, lookbackMs, value, 'value')
      lookbackInto(series, times, lookbackMs, time, 'time')
      if (value.histograms !== undefined) throw new SightlineError('execution', 'this should be an info metric, with float samples')
      return value.used ? [{ column: value.build(series.labels), times: time.values }] : []
    })
  }

  async pushdown(request: RangeRequest): Promise<RangeResult | undefined> {
    const { queryable, context, annotations } = this.#options
    const result = await queryable.range?.(request, context)
    if (result === undefined) return undefined
    for (const text of result.warnings) annotations.addText('warning', text)
    for (const text of result.infos) annotations.addText('info', text)
    for (const series of result.series) this.charge(series.values.length)
    return result
  }

  async select(matchers: readonly Matcher[], startMs: number, endMs: number): Promise<readonly SeriesSamples[]> {
    const { queryable, context, annotations } = this.#options
    const result = await queryable.select({ matchers, startMs, endMs }, context)
    context.signal.throwIfAborted()
    for (const text of result.warnings) annotations.addText('warning', text)
    let samples = 0
    for (const series of result.series) samples += series.times.length
    this.charge(samples)
    return result.series
  }
}
