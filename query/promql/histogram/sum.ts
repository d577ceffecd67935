/** A running sum of histograms with compensated `sum` and `count`, and what happened to their layouts on the way. */
import type { FloatHistogram } from '../../../lib/model/index.ts'
import { KahanSum } from '../kahan.ts'
import { addHistograms, scaleHistogram } from './arithmetic.ts'

export class HistogramSum {
  #total: FloatHistogram | undefined
  readonly #sum = new KahanSum()
  readonly #count = new KahanSum()
  readonly #added: FloatHistogram[] = []
  #hints = { reset: false, notReset: false, gauge: false }
  /** Exponential and custom buckets met: there is no sum. */
  incompatible = false
  boundsReconciled = false

  add(histogram: FloatHistogram): void {
    this.#added.push(histogram)
    if (histogram.counterResetHint === 'gauge') this.#hints.gauge = true
    if (histogram.counterResetHint === 'reset') this.#hints.reset = true
    if (histogram.counterResetHint === 'not_reset') this.#hints.notReset = true
    this.#sum.add(histogram.sum)
    this.#count.add(histogram.count)
    if (this.#total === undefined) {
      this.#total = histogram
      return
    }
    if (this.incompatible) return
    const combined = addHistograms(this.#total, histogram)
    if (combined === undefined) {
      this.incompatible = true
      return
    }
    this.boundsReconciled ||= combined.boundsReconciled
    this.#total = combined.histogram
  }

  get added(): number {
    return this.#added.length
  }

  get hintCollision(): boolean {
    return this.#hints.reset && this.#hints.notReset && !this.#hints.gauge
  }

  /** The sum, undefined where nothing was added or layouts were incompatible. */
  total(): FloatHistogram | undefined {
    if (this.#total === undefined || this.incompatible) return undefined
    return { ...this.#total, sum: this.#sum.sum + this.#sum.compensation, count: this.#count.sum + this.#count.compensation }
  }

  /** The mean; undefined as `total`. */
  average(): FloatHistogram | undefined {
    const total = this.total()
    const { added } = this
    if (total !== undefined && added > 1 && overflows(total)) return this.#averageOfShares()
    return total === undefined || added === 1 ? total : scaleHistogram(total, (value) => value / added)
  }

  /** The sum overflowed: each is divided first. */
  #averageOfShares(): FloatHistogram | undefined {
    const shares = new HistogramSum()
    for (const histogram of this.#added) shares.add(scaleHistogram(histogram, (value) => value / this.added))
    return shares.total()
  }
}

function overflows(histogram: FloatHistogram): boolean {
  const numbers = [histogram.count, histogram.sum, histogram.zeroCount, ...histogram.positiveBuckets, ...histogram.negativeBuckets]
  return numbers.some((value) => !Number.isFinite(value))
}
