/**
 * Binary operators between vectors. Series are matched once by their labels; what happens at each step depends on which of
 * them have a sample there, and so do the errors about matches that aren't unique.
 */
import {
  METRIC_NAME,
  labelValue,
  labelsKeep,
  labelsKey,
  labelsWith,
  labelsWithout,
  type FloatHistogram,
  type Labels,
} from '../../lib/model/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import { COMPARISON_OPERATORS, type BinaryExpr, type VectorMatching } from './ast.ts'
import type { Note } from './annotations.ts'
import { FLOAT_OPERATORS, changesValue, combinePair } from './binary.ts'
import { ColumnBuilder, duplicateLabelset, mergeDuplicates, withoutName, type Column, type NamePolicy } from './columns.ts'
import { quote } from './strings.ts'

/** The labels of a series that decide what it matches. */
export function matchLabels(matching: VectorMatching): (labels: Labels) => Labels {
  if (matching.on) {
    const names = new Set(matching.labels)
    return (labels) => labelsKeep(labels, names)
  }
  const names = new Set([...matching.labels, METRIC_NAME])
  return (labels) => labelsWithout(labels, names)
}

/** and, or, unless: whole samples of one side by what is on the other. */
export function setOperator(
  op: string,
  left: readonly Column[],
  right: readonly Column[],
  matching: VectorMatching,
  count: number,
): Column[] {
  const keyOf = matchLabels(matching)
  const [base, other] = op === 'or' ? [left, right] : [right, left]
  const masks = new Map<string, Uint8Array>()
  for (const column of base) {
    const key = labelsKey(keyOf(column.labels))
    let mask = masks.get(key)
    if (mask === undefined) masks.set(key, (mask = new Uint8Array(count)))
    for (let k = 0; k < count; k++) mask[k]! |= column.present[k]!
  }
  const wanted = op === 'and' ? 1 : 0
  const kept: Column[] = []
  for (const column of other) {
    const mask = masks.get(labelsKey(keyOf(column.labels)))
    if (mask === undefined) {
      if (op !== 'and') kept.push(column)
      continue
    }
    const present = column.present.map((flag, k) => (mask[k] === wanted ? flag : 0))
    if (present.includes(1)) kept.push({ ...column, present })
  }
  return op === 'or' ? [...mergeDuplicates([...left, ...kept])] : kept
}

interface Side {
  readonly labels: Labels
  readonly columns: Column[]
}

/** Results of one match group, by result labels. */
interface Output {
  readonly labels: Labels
  readonly builder: ColumnBuilder
  dropName: boolean
}

/**
 * Arithmetic and comparisons between two vectors.
 * @throws execution where a match isn't unique at some step
 */
export function vectorVector(
  expr: BinaryExpr,
  left: readonly Column[],
  right: readonly Column[],
  count: number,
  policy: NamePolicy,
  note: Note,
): Column[] {
  return new VectorMatcher(expr, count, policy, note).run(left, right)
}

class VectorMatcher {
  readonly #expr: BinaryExpr
  readonly #matching: VectorMatching
  readonly #count: number
  readonly #policy: NamePolicy
  readonly #note: Note
  readonly #keyOf: (labels: Labels) => Labels
  /** The "many" side is the right one: operands are exchanged. */
  readonly #swapped: boolean
  readonly #outputs = new Map<string, Output>()

  constructor(expr: BinaryExpr, count: number, policy: NamePolicy, note: Note) {
    this.#expr = expr
    this.#matching = expr.matching!
    this.#count = count
    this.#policy = policy
    this.#note = note
    this.#keyOf = matchLabels(expr.matching!)
    this.#swapped = expr.matching!.card === 'one-to-many'
  }

  run(left: readonly Column[], right: readonly Column[]): Column[] {
    const many = this.#group(this.#swapped ? right : left)
    const one = this.#group(this.#swapped ? left : right)
    const { fillLeft, fillRight } = this.#matching
    // Under group_right Prometheus exchanges the operands before it fills, so left means the "many" side there too.
    const fillMany = fillLeft
    const fillOne = fillRight
    for (const [key, side] of many) this.#matchGroup(side, one.get(key), fillMany, fillOne)
    if (fillMany !== undefined) {
      for (const [key, side] of one) if (!many.has(key)) this.#matchGroup({ labels: side.labels, columns: [] }, side, fillMany, fillOne)
    }
    if (fillMany === undefined) for (const [key, side] of one) if (!many.has(key)) this.#oneByStep(side)
    const out: Column[] = []
    for (const { labels, builder, dropName } of this.#outputs.values()) if (builder.used) out.push(builder.build(labels, dropName))
    return out
  }

  #group(columns: readonly Column[]): Map<string, Side> {
    const groups = new Map<string, Side>()
    for (const column of columns) {
      const labels = this.#keyOf(column.labels)
      const key = labelsKey(labels)
      const group = groups.get(key)
      if (group === undefined) groups.set(key, { labels, columns: [column] })
      else group.columns.push(column)
    }
    return groups
  }

  /** The only column of the "one" side that has a sample, step by step. */
  #oneByStep(side: Side): Int32Array {
    const found = new Int32Array(this.#count).fill(-1)
    side.columns.forEach((column, i) => {
      for (let k = 0; k < this.#count; k++) {
        if (column.present[k] === 0) continue
        if (found[k] !== -1) this.#failDuplicate(side, side.columns[found[k]!]!, column)
        found[k] = i
      }
    })
    return found
  }

  #failDuplicate(side: Side, first: Column, second: Column): never {
    const name = this.#swapped ? 'left' : 'right'
    throw new SightlineError(
      'execution',
      `found duplicate series for the match group ${showLabels(side.labels)} on the ${name} hand-side of the operation: [${showLabels(first.labels)}, ${showLabels(second.labels)}];many-to-many matching not allowed: matching labels must be unique on one side`,
    )
  }

  /** The usual case at once: one column of floats on each side. False where it isn't that. */
  #matchPair(many: Side, one: Side): boolean {
    const { op, returnBool } = this.#expr
    const apply = FLOAT_OPERATORS[op]
    const [left, right] = [many.columns[0]!, one.columns[0]!]
    const single = many.columns.length === 1 && one.columns.length === 1
    if (!single || apply === undefined || this.#matching.card !== 'one-to-one') return false
    if (left.histograms !== undefined || right.histograms !== undefined) return false
    const filters = COMPARISON_OPERATORS.has(op) && !returnBool
    const target = this.#output(left, right.labels)
    const { builder } = target
    for (let k = 0; k < this.#count; k++) {
      if ((left.present[k]! & right.present[k]!) === 0) continue
      const result = apply(left.values[k]!, right.values[k]!)
      if (filters && result === 0) continue
      if (builder.present[k] === 1) throw duplicateLabelset()
      builder.set(k, filters ? left.values[k]! : result)
    }
    target.dropName ||= left.dropName && !changesValue(op)
    return true
  }

  #matchGroup(many: Side, one: Side | undefined, fillMany: number | undefined, fillOne: number | undefined): void {
    if (one === undefined && fillOne === undefined) return
    if (one !== undefined && fillMany === undefined && fillOne === undefined && this.#matchPair(many, one)) return
    const oneAt = one === undefined ? undefined : this.#oneByStep(one)
    const taken = this.#matching.card === 'one-to-one' ? new Uint8Array(this.#count) : undefined
    const seen = new Map<Output, Uint8Array>()
    const targets = new Map<string, Output>()
    const manyPresent = new Uint8Array(this.#count)
    many.columns.forEach((column, m) => {
      let target: Output | undefined
      let targetIndex = -1
      for (let k = 0; k < this.#count; k++) {
        if (column.present[k] === 0) continue
        manyPresent[k] = 1
        const index = oneAt?.[k] ?? -1
        const match = index === -1 ? undefined : one!.columns[index]!
        if (match === undefined && fillOne === undefined) continue
        const sample = column.histograms?.[k] ?? column.values[k]!
        const other = match === undefined ? fillOne! : (match.histograms?.[k] ?? match.values[k]!)
        if (target === undefined || index !== targetIndex) {
          target = cached(targets, `${m}/${index}`, () => this.#output(column, match?.labels ?? many.labels))
          targetIndex = index
        }
        this.#write(target, k, sample, other, column.dropName, taken, seen)
      }
    })
    if (fillMany === undefined || oneAt === undefined) return
    for (let k = 0; k < this.#count; k++) {
      if (manyPresent[k] === 1 || oneAt[k] === -1) continue
      const match = one!.columns[oneAt[k]!]!
      const target = cached(targets, `fill/${oneAt[k]}`, () => this.#output({ labels: one!.labels }, match.labels))
      this.#write(target, k, fillMany, match.histograms?.[k] ?? match.values[k]!, false, taken, seen)
    }
  }

  #write(
    target: Output,
    k: number,
    many: number | FloatHistogram,
    one: number | FloatHistogram,
    dropName: boolean,
    taken: Uint8Array | undefined,
    seen: Map<Output, Uint8Array>,
  ): void {
    const { op, returnBool } = this.#expr
    const [left, right] = this.#swapped ? [one, many] : [many, one]
    let result = combinePair(op, left, right, this.#note)
    if (result === undefined) return
    if (taken !== undefined) {
      if (taken[k] === 1)
        throw new SightlineError('execution', 'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)')
      taken[k] = 1
    }
    if (returnBool) result = result === 'keep' ? 1 : 0
    else if (result === 'keep') result = left
    if (result === 'drop') return
    if (taken === undefined) {
      const steps = cached(seen, target, () => new Uint8Array(this.#count))
      if (steps[k] === 1) throw new SightlineError('execution', 'multiple matches for labels: grouping labels must ensure unique matches')
      steps[k] = 1
    }
    if (target.builder.present[k] === 1) throw duplicateLabelset()
    target.dropName ||= dropName && !changesValue(op)
    if (typeof result === 'number') target.builder.set(k, result)
    else target.builder.setHistogram(k, result)
  }

  /** Where results of a pair go. Source: Prometheus `resultMetric`. */
  #output(many: { readonly labels: Labels }, oneLabels: Labels): Output {
    const { matching } = this.#expr
    const { returnBool, op } = this.#expr
    let labels = many.labels
    if (changesValue(op) || (returnBool && !this.#policy.delayed)) labels = withoutName(labels, this.#policy)
    if (matching!.card === 'one-to-one') {
      const names = new Set(matching!.labels)
      labels = matching!.on ? labelsKeep(labels, names) : labelsWithout(labels, names)
    }
    for (const name of matching!.include) labels = labelsWith(labels, name, labelValue(oneLabels, name))
    return cached(this.#outputs, labelsKey(labels), () => ({ labels, builder: new ColumnBuilder(this.#count), dropName: returnBool }))
  }
}

function cached<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = make()))
  return value
}

function showLabels(labels: Labels): string {
  const pairs: string[] = []
  for (let i = 0; i < labels.length; i += 2) pairs.push(`${labels[i]}=${quote(labels[i + 1]!)}`)
  return `{${pairs.join(', ')}}`
}
