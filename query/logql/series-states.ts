/** The series of a range aggregation while it runs: label sets to rows of cells, or to raw samples. Bounded by cells. */
import { labelsKey, type Labels } from '../../lib/model/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { RangeAggregation } from './ast.ts'
import type { Grid, SampleColumns, StateKind } from './source.ts'
import { addSample, mergeState, stateKindOf, widthOf } from './window-state.ts'

export class SeriesStates {
  readonly #kind: StateKind
  readonly #steps: number
  readonly #width: number
  readonly #cellsMax: number
  readonly #ids = new Map<string, number>()
  readonly #labels: Labels[] = []
  readonly #rows: Float64Array[] = []
  readonly #times: number[][] = []
  readonly #values: number[][] = []
  #cells = 0
  #linesRead = 0
  #bytesRead = 0

  constructor(node: RangeAggregation, grid: Grid, cellsMax: number) {
    this.#kind = stateKindOf(node)
    this.#steps = grid.count
    this.#width = widthOf(this.#kind)
    this.#cellsMax = cellsMax
  }

  read(bytes: number): void {
    this.#linesRead++
    this.#bytesRead += bytes
  }

  seriesOf(labels: Labels): number {
    const key = labelsKey(labels)
    let id = this.#ids.get(key)
    if (id === undefined) {
      id = this.#labels.push(labels) - 1
      this.#ids.set(key, id)
      // One step more: where a count's last window ends.
      const cells = this.#kind === 'count' ? this.#steps + 1 : this.#width * this.#steps
      this.#reserve(cells + 8)
      this.#rows.push(new Float64Array(cells))
      if (this.#kind === 'raw') {
        this.#times.push([])
        this.#values.push([])
      }
    }
    return id
  }

  #reserve(cells: number): void {
    this.#cells += cells
    if (this.#cells > this.#cellsMax) {
      throw new SightlineError(
        'too_large',
        `cannot evaluate the query: it needs more than ${this.#cellsMax} values in memory (${this.#labels.length} series of ${this.#steps} steps so far)`,
      )
    }
  }

  #count(series: number, first: number, last: number, amount: number): void {
    const row = this.#rows[series]!
    row[first]! += amount
    row[last + 1]! -= amount
  }

  add(series: number, first: number, last: number, timeMs: number, value: number): void {
    if (this.#kind === 'count') return this.#count(series, first, last, 1)
    if (this.#kind === 'raw') {
      this.#reserve(2)
      this.#times[series]!.push(timeMs)
      this.#values[series]!.push(value)
      return
    }
    addSample(this.#kind, this.#rows[series]!, 0, this.#steps, first, last, timeMs, value)
  }

  /** Adds what another partition found. */
  absorb(answer: SampleColumns): void {
    this.#linesRead += answer.stats.lines
    this.#bytesRead += answer.stats.bytes
    for (const [i, labels] of answer.labels.entries()) {
      const series = this.seriesOf(labels)
      if (this.#kind === 'raw') {
        for (let at = answer.rawStart[i]!; at < answer.rawStart[i + 1]!; at++)
          this.add(series, 0, 0, answer.rawTimes[at]!, answer.rawValues[at]!)
      } else if (this.#kind === 'count') {
        // Back to differences: a sum of running sums.
        for (let k = 0; k < this.#steps; k++) this.#count(series, k, k, answer.state[i * this.#steps + k]!)
      } else mergeState(this.#kind, this.#rows[series]!, 0, answer.state, i * this.#width * this.#steps, this.#steps)
    }
  }

  build(): SampleColumns {
    const steps = this.#steps
    const size = this.#width * steps
    const state = new Float64Array(this.#labels.length * size)
    for (const [i, row] of this.#rows.entries()) {
      if (this.#kind !== 'count') state.set(row, i * size)
      else for (let k = 0, sum = 0; k < steps; k++) state[i * steps + k] = sum += row[k]!
    }
    const rawStart = new Uint32Array(this.#labels.length + 1)
    for (const [i, times] of this.#times.entries()) rawStart[i + 1] = rawStart[i]! + times.length
    const rawTimes = new Float64Array(rawStart[this.#times.length] ?? 0)
    const rawValues = new Float64Array(rawTimes.length)
    for (const [i, times] of this.#times.entries()) {
      rawTimes.set(times, rawStart[i])
      rawValues.set(this.#values[i]!, rawStart[i])
    }
    const stats = { lines: this.#linesRead, bytes: this.#bytesRead }
    return { kind: this.#kind, labels: this.#labels, state, rawStart, rawTimes, rawValues, stats }
  }
}
