/** resets and changes: how often a series fell, and how often it moved. Floats and histograms count together, in time order. */
import type { FloatHistogram } from '../../../lib/model/index.ts'
import { detectReset, histogramsEqual } from '../histogram/index.ts'
import { startIsReset } from './counter.ts'
import type { ColumnBuilder } from '../columns.ts'
import type { RangeFunction, Windows } from './range-function.ts'

type Sample = { readonly time: number; readonly start: number; readonly value: number; readonly histogram: FloatHistogram | undefined }

function countTransitions(
  isTransition: (previous: Sample, sample: Sample) => boolean,
  isFloatTransition: (previous: number, value: number) => boolean,
): RangeFunction {
  return {
    run(windows, out) {
      const { series, from, to, histogramFrom, histogramTo, count } = windows
      if (series.histograms.length === 0 && series.starts === undefined) return countFloats(windows, out, isFloatTransition)
      for (let k = 0; k < count; k++) {
        if (to[k] === from[k] && histogramTo[k] === histogramFrom[k]) continue
        let transitions = 0
        let previous: Sample | undefined
        for (const sample of mergedSamples(windows, from[k]!, to[k]!, histogramFrom[k]!, histogramTo[k]!)) {
          if (previous !== undefined && isTransition(previous, sample)) transitions++
          previous = sample
        }
        out.set(k, transitions)
      }
    },
  }
}

function countFloats(
  { series, from, to, count }: Windows,
  out: ColumnBuilder,
  isTransition: (previous: number, value: number) => boolean,
): void {
  const { values } = series
  for (let k = 0; k < count; k++) {
    if (to[k] === from[k]) continue
    let transitions = 0
    for (let i = from[k]! + 1; i < to[k]!; i++) if (isTransition(values[i - 1]!, values[i]!)) transitions++
    out.set(k, transitions)
  }
}

/** The window's samples of both kinds by time. */
function* mergedSamples(windows: Windows, from: number, to: number, histogramFrom: number, histogramTo: number): Generator<Sample> {
  const { times, values, starts, histogramTimes, histograms, histogramStarts } = windows.series
  let i = from
  let h = histogramFrom
  while (i < to || h < histogramTo) {
    if (h >= histogramTo || (i < to && times[i]! < histogramTimes[h]!)) {
      yield { time: times[i]!, start: starts?.[i] ?? 0, value: values[i]!, histogram: undefined }
      i++
    } else {
      yield { time: histogramTimes[h]!, start: histogramStarts?.[h] ?? 0, value: 0, histogram: histograms[h]! }
      h++
    }
  }
}

function floatChanged(previous: number, value: number): boolean {
  return value !== previous && !(Number.isNaN(value) && Number.isNaN(previous))
}

export const TRANSITION_FUNCTIONS: Readonly<Record<string, RangeFunction>> = {
  resets: countTransitions(
    (previous, sample) => {
      if ((previous.histogram === undefined) !== (sample.histogram === undefined)) return true
      if (startIsReset(previous.time, sample.time, previous.start, sample.start)) return true
      return sample.histogram === undefined ? sample.value < previous.value : detectReset(sample.histogram, previous.histogram!)
    },
    (previous, value) => value < previous,
  ),
  changes: countTransitions((previous, sample) => {
    if ((previous.histogram === undefined) !== (sample.histogram === undefined)) return true
    if (sample.histogram !== undefined) return !histogramsEqual(sample.histogram, previous.histogram!)
    return floatChanged(previous.value, sample.value)
  }, floatChanged),
}
