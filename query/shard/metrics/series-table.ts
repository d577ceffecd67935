/**
 * Series as they cross threads: label sets as a table over a small dictionary, all values in one array, timestamps shared.
 *
 *   strings      each distinct label name or value once
 *   labels       indices into strings: name, value, name, value … of all series one after another
 *   labelStart   series i's labels are labels[labelStart[i] .. labelStart[i + 1])
 *   times        distinct time columns; series i's is times[timeOf[i]]
 *   values       series i's rows are values[valueStart[i] .. valueStart[i + 1]); as many as its time column has
 *   cells        CELL_* a row, or absent where every row of every series is a float
 *
 * Histograms and start timestamps travel beside it, sparse: they need not be fast yet.
 */
import { CELL_FLOAT, type FloatHistogram, type Labels, type SeriesSamples } from '../../../lib/model/index.ts'

export interface SeriesTable {
  readonly strings: readonly string[]
  readonly labels: Uint32Array
  readonly labelStart: Uint32Array
  readonly times: readonly Float64Array[]
  readonly timeOf: Uint32Array
  readonly values: Float64Array
  readonly valueStart: Uint32Array
  readonly cells: Uint8Array | undefined
  readonly histograms: readonly { readonly series: number; readonly row: number; readonly histogram: FloatHistogram }[]
  readonly startTimes: readonly { readonly series: number; readonly times: Float64Array }[]
}

export function encodeSeries(series: readonly SeriesSamples[]): SeriesTable {
  const { strings, labels, labelStart } = encodeLabels(series.map((one) => one.labels))
  const timeIds = new Map<Float64Array, number>()
  const timeOf = new Uint32Array(series.length)
  const valueStart = new Uint32Array(series.length + 1)
  let hasCells = false
  for (const [i, one] of series.entries()) {
    let id = timeIds.get(one.times)
    if (id === undefined) timeIds.set(one.times, (id = timeIds.size))
    timeOf[i] = id
    valueStart[i + 1] = valueStart[i]! + one.times.length
    hasCells ||= one.cells !== undefined
  }
  const total = valueStart[series.length]!
  const values = new Float64Array(total)
  const cells = hasCells ? new Uint8Array(total).fill(CELL_FLOAT) : undefined
  const histograms: { series: number; row: number; histogram: FloatHistogram }[] = []
  const startTimes: { series: number; times: Float64Array }[] = []
  for (const [i, one] of series.entries()) {
    values.set(one.values.subarray(0, one.times.length), valueStart[i]!)
    if (one.cells !== undefined) cells!.set(one.cells.subarray(0, one.times.length), valueStart[i]!)
    one.histograms?.forEach((histogram, row) => {
      if (histogram !== undefined) histograms.push({ series: i, row, histogram })
    })
    if (one.startTimes !== undefined) startTimes.push({ series: i, times: one.startTimes })
  }
  // Views into larger buffers would carry those over: the columns that travel own their memory.
  const times = [...timeIds.keys()].map((column) => (column.byteLength === column.buffer.byteLength ? column : column.slice()))
  return { strings, labels, labelStart, times, timeOf, values, valueStart, cells, histograms, startTimes }
}

export function decodeSeries(table: SeriesTable): SeriesSamples[] {
  const labelSets = decodeLabels(table)
  const histogramsOf = new Map<number, (FloatHistogram | undefined)[]>()
  for (const { series, row, histogram } of table.histograms) {
    const rows = histogramsOf.get(series) ?? []
    rows[row] = histogram
    histogramsOf.set(series, rows)
  }
  const startsOf = new Map(table.startTimes.map(({ series, times }) => [series, times]))
  return labelSets.map((labels, i) => {
    const from = table.valueStart[i]!
    const to = table.valueStart[i + 1]!
    const cells = table.cells?.subarray(from, to)
    const histograms = histogramsOf.get(i)
    const startTimes = startsOf.get(i)
    return {
      labels,
      times: table.times[table.timeOf[i]!]!,
      values: table.values.subarray(from, to),
      ...(cells === undefined || cells.every((cell) => cell === CELL_FLOAT) ? {} : { cells }),
      ...(histograms === undefined ? {} : { histograms }),
      ...(startTimes === undefined ? {} : { startTimes }),
    }
  })
}

export function seriesTableBuffers(table: SeriesTable): ArrayBuffer[] {
  const arrays: { buffer: ArrayBufferLike }[] = [
    table.labels,
    table.labelStart,
    table.timeOf,
    table.values,
    table.valueStart,
    ...table.times,
  ]
  if (table.cells !== undefined) arrays.push(table.cells)
  return [...new Set(arrays.map((array) => array.buffer as ArrayBuffer))]
}

export interface LabelTable {
  readonly strings: readonly string[]
  readonly labels: Uint32Array
  readonly labelStart: Uint32Array
}

export function encodeLabels(sets: readonly Labels[]): LabelTable {
  const ids = new Map<string, number>()
  const labelStart = new Uint32Array(sets.length + 1)
  for (const [i, set] of sets.entries()) labelStart[i + 1] = labelStart[i]! + set.length
  const labels = new Uint32Array(labelStart[sets.length]!)
  let at = 0
  for (const set of sets) {
    for (const text of set) {
      let id = ids.get(text)
      if (id === undefined) ids.set(text, (id = ids.size))
      labels[at++] = id
    }
  }
  return { strings: [...ids.keys()], labels, labelStart }
}

export function decodeLabels(table: LabelTable): Labels[] {
  return Array.from({ length: table.labelStart.length - 1 }, (_, i) => {
    const out: string[] = []
    for (let at = table.labelStart[i]!; at < table.labelStart[i + 1]!; at++) out.push(table.strings[table.labels[at]!]!)
    return out
  })
}
