/**
 * Range aggregations: `samplesTask` beside the data of one partition, `mergeSamples` wherever answers meet.
 *
 * A window is (step − range, step]. Counts are kept as differences at the window's edges, so that a line costs the same however many windows it is in.
 * Where the pipeline depends on stored labels alone, its outcome is worked out once a stream and block, and a line costs a few array reads.
 */
import type { Labels } from '../../lib/model/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { LogRows, NanoTime, Task } from '../store/index.ts'
import type { Grouping, RangeAggregation } from './ast.ts'
import { parseSampleExpr } from './parser.ts'
import { compilePipeline, passes, wantedLabels, type Pipeline } from './pipeline.ts'
import { pipelineError } from './pipeline-error.ts'
import { SeriesStates } from './series-states.ts'
import type { Grid, LogSource, SampleColumns, SamplesRequest } from './source.ts'
import { Entry } from './stages/index.ts'
import { compileUnwrap, type SampleReader } from './unwrap.ts'

const LINES_PER_SLICE = 2000
const DROPPED = -1

/**
 * @returns partial results per label set
 * Errors: bad_data for the query; bad_data "pipeline error" where a line in a window carries an error; too_large past `cellsMax`.
 */
export function* samplesTask(source: LogSource, request: SamplesRequest): Task<SampleColumns> {
  const node = rangeOf(request.query)
  const sampler = new Sampler(node, request)
  const { matchers, needles } = sampler.pipeline
  const { start, end } = scanRange(node, request.grid)
  let done = 0
  for (const rows of source.scan({ matchers, start, end, order: 'any', needles })) {
    if (rows === undefined) {
      yield
      continue
    }
    sampler.begin(rows)
    for (let i = 0; i < rows.count; i++) {
      sampler.take(rows, i)
      if (++done % LINES_PER_SLICE === 0) yield
    }
  }
  return sampler.states.build()
}

function rangeOf(query: string): RangeAggregation {
  const node = parseSampleExpr(query)
  if (node.kind !== 'range') throw new SightlineError('bad_data', `cannot run "${query}" beside the data: it is no range aggregation`)
  return node
}

/** The first window's open start to the last one's closed end. */
function scanRange({ rangeMs, offsetMs }: RangeAggregation, { startMs, stepMs, count }: Grid): { start: NanoTime; end: NanoTime } {
  return { start: after(startMs - offsetMs - rangeMs), end: after(startMs + (count - 1) * stepMs - offsetMs) }
}

/** The first instant past a time. */
function after(ms: number): NanoTime {
  const whole = Math.floor(ms)
  return { ms: whole, subNs: Math.min(999_999, Math.floor((ms - whole) * 1e6) + 1) }
}

class Sampler {
  readonly states: SeriesStates
  readonly pipeline: Pipeline
  readonly #node: RangeAggregation
  readonly #grid: Grid
  readonly #entry = new Entry()
  readonly #read: SampleReader
  readonly #grouping: Grouping | undefined
  readonly #hidden: ReadonlySet<string>
  readonly #countsBytes: boolean
  readonly #isByLabels: boolean
  /** Series of (stream, metadata) of the block at hand, plus two; 0 = not known yet. */
  #known = new Int32Array(0)
  #first = 0
  #last = -1

  constructor(node: RangeAggregation, request: SamplesRequest) {
    this.#node = node
    this.#grid = request.grid
    this.pipeline = compilePipeline(node.log)
    this.states = new SeriesStates(node, request.grid, request.cellsMax)
    this.#grouping = node.op === 'absent_over_time' ? { without: false, labels: [] } : (node.grouping ?? request.grouping)
    this.#entry.wanted = wantedLabels(node, this.#grouping?.without === false ? this.#grouping.labels : undefined)
    this.#read = compileUnwrap(node.unwrap)
    this.#countsBytes = node.op === 'bytes_over_time' || node.op === 'bytes_rate'
    this.#isByLabels = this.pipeline.isByLabels && node.unwrap === undefined
    const hidden = this.#grouping?.without === true ? this.#grouping.labels : []
    this.#hidden = new Set(node.unwrap === undefined ? hidden : [...hidden, node.unwrap.label])
  }

  begin(rows: LogRows): void {
    this.#entry.block++
    const size = rows.streams.length * rows.metadata.length
    this.#known = new Int32Array(this.#isByLabels && size <= KNOWN_MAX ? size : 0)
  }

  take(rows: LogRows, i: number): void {
    const start = rows.lineStart[i]!
    const end = rows.lineEnd[i]!
    this.states.read(end - start)
    const timeMs = rows.timeMs[i]! + (rows.subNs[i]! > 0 ? 1 : 0)
    if (!this.#findWindows(timeMs)) return
    const entry = this.#entry
    const { filters } = this.pipeline
    if (filters.length > 0) {
      entry.resetLine(rows.lineBytes, start, end)
      if (!passes(filters, entry)) return
    }
    const at = rows.streamOf[i]! * rows.metadata.length + rows.metadataOf[i]!
    if (at < this.#known.length) {
      let series = this.#known[at]! - 2
      if (series === -2) {
        series = this.#run(rows, i, start, end)
        this.#known[at] = series + 2
      }
      if (series !== DROPPED) this.#add(series, timeMs, end - start)
      return
    }
    const series = this.#run(rows, i, start, end)
    if (series === DROPPED) return
    this.#add(series, rows.timeMs[i]! + rows.subNs[i]! / 1e6, this.#countsBytes ? entry.byteLength : this.#value)
  }

  #value = 0

  #add(series: number, timeMs: number, value: number): void {
    this.states.add(series, this.#first, this.#last, timeMs, value)
  }

  /** The series a line belongs to. */
  #run(rows: LogRows, i: number, start: number, end: number): number {
    const entry = this.#entry
    entry.reset(rows.streams[rows.streamOf[i]!]!, rows.metadata[rows.metadataOf[i]!]!, rows.lineBytes, start, end)
    entry.timeMs = rows.timeMs[i]!
    entry.subNs = rows.subNs[i]!
    if (!passes(this.pipeline.stages, entry)) return DROPPED
    const value = this.#read(entry)
    if (value === undefined) return DROPPED
    this.#value = value
    if (entry.error !== '') throw pipelineError(entry)
    return this.states.seriesOf(this.#labels(entry))
  }

  #labels(entry: Entry): Labels {
    if (this.#grouping?.without === false) {
      const out: string[] = []
      for (const name of this.#grouping.labels.toSorted()) {
        const value = entry.get(name)
        if (value !== undefined) out.push(name, value)
      }
      return out
    }
    const labels = entry.labels()
    if (this.#hidden.size === 0) return labels
    const out: string[] = []
    for (let i = 0; i < labels.length; i += 2) if (!this.#hidden.has(labels[i]!)) out.push(labels[i]!, labels[i + 1]!)
    return out
  }

  /** Steps whose window holds the time; false where there is none. */
  #findWindows(timeMs: number): boolean {
    const { startMs, stepMs, count } = this.#grid
    const from = timeMs + this.#node.offsetMs - startMs
    const step = stepMs > 0 ? stepMs : 1
    this.#first = Math.max(0, Math.ceil(from / step))
    this.#last = Math.min(count - 1, Math.ceil((from + this.#node.rangeMs) / step) - 1)
    return this.#first <= this.#last
  }
}

/** Pairs of stream and metadata a block may have for its outcomes to be kept in an array. */
const KNOWN_MAX = 1 << 18

/** Answers of several partitions as one. */
export function mergeSamples(answers: readonly SampleColumns[], request: SamplesRequest): SampleColumns {
  if (answers.length === 1) return answers[0]!
  const states = new SeriesStates(rangeOf(request.query), request.grid, request.cellsMax)
  for (const answer of answers) states.absorb(answer)
  return states.build()
}
