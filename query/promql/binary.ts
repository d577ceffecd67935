/** Binary operators on pairs of samples, and between scalars and vectors. Vectors among themselves are in `matching.ts`. */
import type { FloatHistogram } from '../../lib/model/index.ts'
import { COMPARISON_OPERATORS } from './ast.ts'
import { remarks, type Note } from './annotations.ts'
import { ColumnBuilder, droppedLabels, type Column, type NamePolicy } from './columns.ts'
import { addHistograms, compactHistogram, histogramsEqual, scaleHistogram, subtractHistograms, trimHistogram } from './histogram/index.ts'

export type FloatOperator = (left: number, right: number) => number

/** Comparisons give 1 or 0. */
export const FLOAT_OPERATORS: Readonly<Record<string, FloatOperator>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
  '/': (left, right) => left / right,
  '%': (left, right) => left % right,
  '^': power,
  atan2: (left, right) => Math.atan2(left, right),
  '==': (left, right) => (left === right ? 1 : 0),
  '!=': (left, right) => (left !== right ? 1 : 0),
  '<': (left, right) => (left < right ? 1 : 0),
  '<=': (left, right) => (left <= right ? 1 : 0),
  '>': (left, right) => (left > right ? 1 : 0),
  '>=': (left, right) => (left >= right ? 1 : 0),
}

/** Go's `math.Pow`: 1 to any power and (±1) to an infinite power are 1. */
function power(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && (exponent === Infinity || exponent === -Infinity))) return 1
  return base ** exponent
}

/** Operators whose result isn't the left sample. */
export function changesValue(op: string): boolean {
  return !COMPARISON_OPERATORS.has(op) && op !== '</' && op !== '>/'
}

export function scalarScalar(op: string, left: Float64Array, right: Float64Array): Float64Array {
  const apply = FLOAT_OPERATORS[op]
  if (apply === undefined) return new Float64Array(left.length).fill(NaN)
  return left.map((value, k) => apply(value, right[k]!))
}

/** What one pair of samples gives: a float, a histogram, the left sample itself ('keep') or nothing ('drop'), or undefined. */
export type PairResult = number | FloatHistogram | 'keep' | 'drop' | undefined

/**
 * @param left float, or histogram where there is one
 * @returns for comparisons 'keep' or 'drop'; undefined where the kinds don't go together, which is noted
 * Source: Prometheus `vectorElemBinop`.
 */
export function combinePair(op: string, left: number | FloatHistogram, right: number | FloatHistogram, note: Note): PairResult {
  if (typeof left === 'number' && typeof right === 'number') {
    const apply = FLOAT_OPERATORS[op]
    if (apply === undefined) return incompatible(op, left, right, note)
    const result = apply(left, right)
    return COMPARISON_OPERATORS.has(op) ? (result === 1 ? 'keep' : 'drop') : result
  }
  if (typeof left !== 'number' && typeof right !== 'number') return combineHistograms(op, left, right, note)
  if (typeof left === 'number' && typeof right !== 'number') {
    return op === '*' ? scaleBy(right, (value) => value * left, left) : incompatible(op, left, right, note)
  }
  if (typeof left !== 'number' && typeof right === 'number') {
    if (op === '*') return scaleBy(left, (value) => value * right, right)
    if (op === '/') return divide(left, right)
    if (op === '</' || op === '>/') return trimHistogram(left, right, op === '</')
  }
  return incompatible(op, left, right, note)
}

function scaleBy(histogram: FloatHistogram, apply: (value: number) => number, factor: number): FloatHistogram {
  return scaleHistogram(histogram, apply, factor < 0)
}

function divide(histogram: FloatHistogram, divisor: number): FloatHistogram {
  const divided = scaleHistogram(histogram, (value) => value / divisor, divisor < 0)
  if (divisor !== 0) return divided
  return { ...divided, positiveSpans: [], positiveBuckets: [], negativeSpans: [], negativeBuckets: [] }
}

function combineHistograms(op: string, left: FloatHistogram, right: FloatHistogram, note: Note): PairResult {
  if (op === '==') return histogramsEqual(left, right) ? 'keep' : 'drop'
  if (op === '!=') return histogramsEqual(left, right) ? 'drop' : 'keep'
  if (op !== '+' && op !== '-') return incompatible(op, left, right, note)
  const combined = op === '+' ? addHistograms(left, right) : subtractHistograms(left, right)
  if (combined === undefined) {
    note(remarks.incompatibleBuckets(op))
    return undefined
  }
  const operation = op === '+' ? 'addition' : 'subtraction'
  if (combined.hintCollision) note(remarks.counterResetCollision(operation))
  if (combined.boundsReconciled) note(remarks.mismatchedBuckets(operation))
  const result = compactHistogram(combined.histogram)
  return op === '-' ? { ...result, counterResetHint: 'gauge' } : result
}

function incompatible(op: string, left: number | FloatHistogram, right: number | FloatHistogram, note: Note): undefined {
  const kind = (sample: number | FloatHistogram): string => (typeof sample === 'number' ? 'float' : 'histogram')
  note(remarks.incompatibleTypes(kind(left), op, kind(right)))
  return undefined
}

/** A vector and a scalar, in either order. Comparisons filter and keep the vector's sample, or give 0 and 1 with `bool`. */
export function vectorScalar(
  op: string,
  columns: readonly Column[],
  scalar: Float64Array,
  scalarIsLeft: boolean,
  returnBool: boolean,
  policy: NamePolicy,
  note: Note,
): Column[] {
  const drops = changesValue(op) || returnBool
  const out: Column[] = []
  for (const column of columns) {
    const labels = drops ? droppedLabels(column.labels, policy) : column.labels
    const dropName = drops || column.dropName
    const apply = FLOAT_OPERATORS[op]
    if (column.histograms === undefined && apply !== undefined) {
      const fast = floatColumn(op, column, scalar, scalarIsLeft, returnBool, apply)
      if (fast !== undefined) out.push({ labels, dropName, ...fast })
      continue
    }
    const builder = new ColumnBuilder(column.values.length)
    for (let k = 0; k < column.present.length; k++) {
      if (column.present[k] === 0) continue
      const sample = column.histograms?.[k] ?? column.values[k]!
      const result = scalarIsLeft ? combinePair(op, scalar[k]!, sample, note) : combinePair(op, sample, scalar[k]!, note)
      if (returnBool) {
        if (result !== undefined) builder.set(k, result === 'keep' ? 1 : 0)
      } else if (result === 'keep') builder.copy(k, column)
      else if (typeof result === 'number') builder.set(k, result)
      else if (result !== undefined && result !== 'drop') builder.setHistogram(k, result)
    }
    if (builder.used) out.push(builder.build(labels, dropName))
  }
  return out
}

function floatColumn(
  op: string,
  column: Column,
  scalar: Float64Array,
  scalarIsLeft: boolean,
  returnBool: boolean,
  apply: FloatOperator,
): { values: Float64Array; present: Uint8Array } | undefined {
  const { values, present } = column
  const results = new Float64Array(values.length)
  for (let k = 0; k < values.length; k++) {
    if (present[k] === 1) results[k] = scalarIsLeft ? apply(scalar[k]!, values[k]!) : apply(values[k]!, scalar[k]!)
  }
  if (!COMPARISON_OPERATORS.has(op) || returnBool) return { values: results, present }
  const kept = present.map((flag, k) => (flag === 1 && results[k] === 1 ? 1 : 0))
  return kept.includes(1) ? { values, present: kept } : undefined
}
