/**
 * Query results as Prometheus' JSON. Points are written as text straight from the columns: no object a point, and the answer leaves in chunks.
 *
 * Source: Prometheus `web/api/v1/json_codec.go`: timestamps are seconds with at most three decimals, values are strings in Go's 'f' notation, 'e'
 * below 1e-6 and from 1e21, with an exponent of at least two digits.
 */
import { CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, type Labels } from '../../../lib/model/index.ts'
import type { QueryResult, RangeSeries, StepSeries } from '../../promql/index.ts'
import { allBuckets } from '../../promql/histogram/index.ts'

export function formatValue(value: number): string {
  if (value !== value) return 'NaN'
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const text = String(value)
  const e = text.indexOf('e')
  if (e === -1 || text.length - e > 3) return text
  return `${text.slice(0, e + 2)}0${text.slice(e + 2)}`
}

export function formatSeconds(ms: number): string {
  return String(ms / 1000)
}

export function writeLabels(labels: Labels): string {
  let out = '{'
  for (let i = 0; i < labels.length; i += 2) out += `${i === 0 ? '' : ','}${JSON.stringify(labels[i])}:${JSON.stringify(labels[i + 1])}`
  return `${out}}`
}

/** The `data` of a query answer, in pieces. */
export function* writeResult(result: QueryResult, limit: number): Generator<string> {
  switch (result.type) {
    case 'scalar':
      yield `{"resultType":"scalar","result":[${formatSeconds(result.grid.startMs)},"${formatValue(result.values[0]!)}"]}`
      return
    case 'string':
      yield `{"resultType":"string","result":[${formatSeconds(result.grid.startMs)},${JSON.stringify(result.value)}]}`
      return
    case 'vector':
      yield* writeList('vector', result.series, limit, (series) => writeInstant(series, result.grid.startMs))
      return
    case 'matrix': {
      const seconds = Array.from({ length: result.grid.count }, (_, k) => formatSeconds(result.grid.startMs + k * result.grid.stepMs))
      yield* writeList('matrix', result.series, limit, (series) => writeSteps(series, seconds))
      return
    }
    case 'samples':
      yield* writeList('matrix', result.series, limit, writeRaw)
  }
}

function* writeList<S>(type: string, series: readonly S[], limit: number, write: (series: S) => string): Generator<string> {
  yield `{"resultType":"${type}","result":[`
  let separator = ''
  const count = limit > 0 ? Math.min(limit, series.length) : series.length
  for (let i = 0; i < count; i++) {
    const text = write(series[i]!)
    if (text === '') continue
    yield separator + text
    separator = ','
  }
  yield ']}'
}

function writeInstant({ labels, values, present, histograms }: StepSeries, timeMs: number): string {
  if (present[0] === 0) return ''
  const histogram = histograms?.[0]
  const cell =
    histogram === undefined
      ? `"value":[${formatSeconds(timeMs)},"${formatValue(values[0]!)}"]`
      : `"histogram":[${formatSeconds(timeMs)},${writeHistogram(histogram)}]`
  return `{"metric":${writeLabels(labels)},${cell}}`
}

function writeSteps({ labels, values, present, histograms }: StepSeries, seconds: readonly string[]): string {
  let floats = ''
  let native = ''
  for (let k = 0; k < values.length; k++) {
    if (present[k] === 0) continue
    const histogram = histograms?.[k]
    if (histogram === undefined) floats += `${floats === '' ? '' : ','}[${seconds[k]},"${formatValue(values[k]!)}"]`
    else native += `${native === '' ? '' : ','}[${seconds[k]},${writeHistogram(histogram)}]`
  }
  return writeSeries(labels, floats, native)
}

function writeRaw({ labels, times, values, histogramTimes, histograms }: RangeSeries): string {
  const floats = Array.from(times, (ms, i) => `[${formatSeconds(ms)},"${formatValue(values[i]!)}"]`).join(',')
  const native = Array.from(histogramTimes, (ms, i) => `[${formatSeconds(ms)},${writeHistogram(histograms[i]!)}]`).join(',')
  return writeSeries(labels, floats, native)
}

function writeSeries(labels: Labels, floats: string, native: string): string {
  if (floats === '' && native === '') return ''
  return `{"metric":${writeLabels(labels)}${floats === '' ? '' : `,"values":[${floats}]`}${native === '' ? '' : `,"histograms":[${native}]`}}`
}

/** Buckets are `[boundary rule, lower, upper, count]`: 0 open left, 1 open right, 3 closed on both sides (the zero bucket). Empty ones are left out. */
function writeHistogram(histogram: FloatHistogram): string {
  const buckets: string[] = []
  for (const { lower, upper, count } of allBuckets(histogram)) {
    if (count === 0) continue
    const isZeroBucket = lower === -upper && histogram.schema !== CUSTOM_BUCKETS_SCHEMA
    const rule = isZeroBucket ? 3 : upper <= 0 && histogram.schema !== CUSTOM_BUCKETS_SCHEMA ? 1 : 0
    buckets.push(`[${rule},"${formatValue(lower)}","${formatValue(upper)}","${formatValue(count)}"]`)
  }
  const head = `"count":"${formatValue(histogram.count)}","sum":"${formatValue(histogram.sum)}"`
  return `{${head}${buckets.length === 0 ? '' : `,"buckets":[${buckets.join(',')}]`}}`
}
