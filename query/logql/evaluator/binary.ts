/**
 * Binary operators between columns. Matching is worked out once for the label sets, duplicates are looked for step by step, since only what is present
 * at a step can clash. Rules and error texts are Loki's (`pkg/logql/evaluator.go`), which follow Prometheus'.
 */
import { labelValue, labelsKeep, labelsKey, labelsWith, labelsWithout, type Labels } from '../../../lib/model/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import type { BinaryExpr, BinaryOp, Matching } from '../ast.ts'
import { applyOp, isComparison } from '../scalar.ts'
import { emptySeries, hasAny, type StepSeries } from './series.ts'

/** A vector and a number. A comparison keeps the vector's value, on whichever side it is. */
export function withScalar({ op, returnBool }: BinaryExpr, series: readonly StepSeries[], scalar: number, isRight: boolean): StepSeries[] {
  return series
    .map(({ labels, values, present }) => {
      const out = emptySeries(labels, values.length)
      for (let k = 0; k < values.length; k++) {
        if (present[k] === 0) continue
        const value = values[k]!
        const result = isRight ? applyOp(op, value, scalar) : applyOp(op, scalar, value)
        if (isComparison(op) && !returnBool && result === 0) continue
        out.present[k] = 1
        out.values[k] = isComparison(op) && !returnBool ? value : result
      }
      return out
    })
    .filter(hasAny)
}

function signatureOf(labels: Labels, matching: Matching | undefined): string {
  if (matching === undefined) return labelsKey(labels)
  const names = new Set(matching.labels)
  return labelsKey(matching.on ? labelsKeep(labels, names) : labelsWithout(labels, names))
}

function bySignature(series: readonly StepSeries[], matching: Matching | undefined): Map<string, StepSeries[]> {
  const out = new Map<string, StepSeries[]>()
  for (const one of series) {
    const key = signatureOf(one.labels, matching)
    const group = out.get(key)
    if (group === undefined) out.set(key, [one])
    else group.push(one)
  }
  return out
}

/** `and`, `unless`, `or`. */
export function setOperation(
  op: BinaryOp,
  left: readonly StepSeries[],
  right: readonly StepSeries[],
  matching: Matching | undefined,
): StepSeries[] {
  const isOr = op === 'or'
  const groups = bySignature(isOr ? left : right, matching)
  const kept = isOr ? right : left
  const wantsMatch = op === 'and'
  const filtered = kept
    .map((one) => {
      const others = groups.get(signatureOf(one.labels, matching)) ?? []
      const out = emptySeries(one.labels, one.values.length)
      for (let k = 0; k < one.values.length; k++) {
        if (one.present[k] === 0 || others.some((other) => other.present[k] === 1) !== wantsMatch) continue
        out.present[k] = 1
        out.values[k] = one.values[k]!
      }
      return out
    })
    .filter(hasAny)
  if (!isOr) return filtered
  return mergeSame([...left, ...filtered])
}

/** `x or y` may give the same label set at different steps from either side. */
function mergeSame(series: readonly StepSeries[]): StepSeries[] {
  const out = new Map<string, StepSeries>()
  for (const one of series) {
    const key = labelsKey(one.labels)
    const before = out.get(key)
    if (before === undefined) {
      out.set(key, { labels: one.labels, values: one.values.slice(), present: one.present.slice() })
      continue
    }
    for (let k = 0; k < one.values.length; k++) {
      if (one.present[k] === 0 || before.present[k] === 1) continue
      before.present[k] = 1
      before.values[k] = one.values[k]!
    }
  }
  return [...out.values()]
}

/** Arithmetic and comparisons, one to one or with a group. */
export function matchVectors(expr: BinaryExpr, left: readonly StepSeries[], right: readonly StepSeries[], count: number): StepSeries[] {
  const swapped = expr.matching?.card === 'one-to-many'
  const [many, one] = swapped ? [right, left] : [left, right]
  const ones = bySignature(one, expr.matching)
  const side = swapped ? 'left' : 'right'
  for (const group of ones.values()) checkUnique(group, count, side)
  const results = new Results(expr, count)
  const taken = new Map<string, Uint8Array>()
  for (const manySeries of many) {
    const key = signatureOf(manySeries.labels, expr.matching)
    for (const oneSeries of ones.get(key) ?? []) {
      for (let k = 0; k < count; k++) {
        if (manySeries.present[k] === 0 || oneSeries.present[k] === 0) continue
        results.add(k, manySeries, oneSeries, swapped, steps(taken, key, count))
      }
    }
  }
  return results.all().filter(hasAny)
}

function steps(taken: Map<string, Uint8Array>, key: string, count: number): Uint8Array {
  let flags = taken.get(key)
  if (flags === undefined) taken.set(key, (flags = new Uint8Array(count)))
  return flags
}

function checkUnique(group: readonly StepSeries[], count: number, side: 'left' | 'right'): void {
  if (group.length < 2) return
  for (let k = 0; k < count; k++) {
    if (group.filter(({ present }) => present[k] === 1).length < 2) continue
    throw new SightlineError(
      'bad_data',
      `found duplicate series on the ${side} hand-side;many-to-many matching not allowed: matching labels must be unique on one side`,
    )
  }
}

class Results {
  readonly #expr: BinaryExpr
  readonly #count: number
  readonly #outputs = new Map<string, StepSeries>()
  readonly #labels = new Map<StepSeries, Map<StepSeries, StepSeries>>()

  constructor(expr: BinaryExpr, count: number) {
    this.#expr = expr
    this.#count = count
  }

  all(): StepSeries[] {
    return [...this.#outputs.values()]
  }

  /** `taken`: the steps at which this match already has its one partner. */
  add(k: number, many: StepSeries, one: StepSeries, swapped: boolean, taken: Uint8Array): void {
    const { op, returnBool, matching } = this.#expr
    const left = swapped ? one.values[k]! : many.values[k]!
    const right = swapped ? many.values[k]! : one.values[k]!
    let result = applyOp(op, left, right)
    if (isComparison(op) && !returnBool) {
      if (result === 0) return
      result = left
    }
    const out = this.#output(many, one)
    const isGrouped = matching !== undefined && matching.card !== 'one-to-one'
    if (!isGrouped) {
      if (taken[k] === 1) {
        throw new SightlineError('bad_data', 'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)')
      }
      taken[k] = 1
    } else if (out.present[k] === 1) {
      throw new SightlineError('bad_data', 'multiple matches for labels: grouping labels must ensure unique matches')
    }
    out.present[k] = 1
    out.values[k] = result
  }

  #output(many: StepSeries, one: StepSeries): StepSeries {
    let byOne = this.#labels.get(many)
    if (byOne === undefined) this.#labels.set(many, (byOne = new Map()))
    let out = byOne.get(one)
    if (out === undefined) {
      const labels = this.#resultLabels(many.labels, one.labels)
      const key = labelsKey(labels)
      out = this.#outputs.get(key)
      if (out === undefined) this.#outputs.set(key, (out = emptySeries(labels, this.#count)))
      byOne.set(one, out)
    }
    return out
  }

  #resultLabels(many: Labels, one: Labels): Labels {
    const { matching } = this.#expr
    if (matching === undefined) return many
    if (matching.card === 'one-to-one') {
      const names = new Set(matching.labels)
      return matching.on ? labelsKeep(many, names) : labelsWithout(many, names)
    }
    let labels = many
    for (const name of matching.include) labels = labelsWith(labels, name, labelValue(one, name))
    return labels
  }
}
