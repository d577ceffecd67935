/**
 * info(): adds the labels of info series (`target_info` unless the selector names others) to series with the same
 * `instance` and `job`. Source: Prometheus `promql/info.go`.
 */
import { METRIC_NAME, labelValue, labelsKey, labelsWith, type Labels, type Matcher } from '../../../lib/model/index.ts'
import { compileMatcher, quoteRegexp } from '../../../lib/regexp/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import { ColumnBuilder, mergeDuplicates, type Column, type Grid } from '../columns.ts'

const IDENTIFYING = ['instance', 'job'] as const

export interface InfoPlan {
  /** Matchers of the info series to fetch; undefined where there is nothing to enrich. */
  readonly select: readonly Matcher[] | undefined
  readonly nameMatchers: readonly Matcher[]
  /** By label; empty: all labels are wanted. */
  readonly dataMatchers: ReadonlyMap<string, readonly Matcher[]>
}

export function infoMatchers(selector: readonly Matcher[], base: readonly Column[]): InfoPlan {
  let nameMatchers = selector.filter((matcher) => matcher.name === METRIC_NAME)
  if (nameMatchers.length === 0) nameMatchers = [compileMatcher({ name: METRIC_NAME, op: '=', value: 'target_info' })]
  const dataMatchers = new Map<string, Matcher[]>()
  for (const matcher of selector) {
    if (matcher.name === METRIC_NAME) continue
    const list = dataMatchers.get(matcher.name) ?? []
    list.push(matcher)
    dataMatchers.set(matcher.name, list)
  }
  const plan = { nameMatchers, dataMatchers }
  const enriched = base.filter((column) => !isInfoSeries(column.labels, nameMatchers))
  if (enriched.length === 0) return { ...plan, select: undefined }
  const identifying: Matcher[] = []
  for (const name of IDENTIFYING) {
    const values = [...new Set(enriched.map((column) => labelValue(column.labels, name)))]
    identifying.push(compileMatcher({ name, op: '=~', value: values.map(quoteRegexp).join('|') }))
  }
  const implied = nameMatchers.some(isPositive) ? [] : [compileMatcher({ name: METRIC_NAME, op: '=~', value: '.+_info' })]
  return { ...plan, select: [...nameMatchers, ...implied, ...identifying, ...[...dataMatchers.values()].flat()] }
}

function isPositive(matcher: Matcher): boolean {
  return matcher.op === '=' || matcher.op === '=~'
}

/** Series that are info series themselves are passed through; without a positive name matcher none is. */
function isInfoSeries(labels: Labels, nameMatchers: readonly Matcher[]): boolean {
  const name = labelValue(labels, METRIC_NAME)
  return nameMatchers.some(isPositive) && nameMatchers.every((matcher) => matcher.matches(name))
}

interface InfoSeries {
  readonly column: Column
  /** Seconds of the sample used at each step. */
  readonly times: Float64Array
}

/** @throws execution where info series of different metrics disagree about a label */
export function enrich(base: readonly Column[], infos: readonly InfoSeries[], plan: InfoPlan, grid: Grid): readonly Column[] {
  const byIdentity = new Map<string, InfoSeries[]>()
  for (const info of infos) {
    const key = identityOf(info.column.labels)
    if (key === '') continue
    const list = byIdentity.get(key) ?? []
    list.push(info)
    byIdentity.set(key, list)
  }
  const mustMatch = [...plan.dataMatchers.values()].flat().some((matcher) => !matcher.matches(''))
  const out: Column[] = []
  for (const column of base) {
    if (isInfoSeries(column.labels, plan.nameMatchers)) {
      out.push(column)
      continue
    }
    const matches = byIdentity.get(identityOf(column.labels)) ?? []
    const results = new Map<string, { labels: Labels; builder: ColumnBuilder }>()
    for (let k = 0; k < grid.count; k++) {
      if (column.present[k] === 0) continue
      const labels = enrichedLabels(column.labels, matches, k, plan)
      if (labels === undefined && mustMatch) continue
      const final = labels ?? column.labels
      const key = labelsKey(final)
      let result = results.get(key)
      if (result === undefined) results.set(key, (result = { labels: final, builder: new ColumnBuilder(grid.count) }))
      result.builder.copy(k, column)
    }
    for (const { labels, builder } of results.values()) out.push(builder.build(labels, column.dropName))
  }
  return mergeDuplicates(out)
}

function identityOf(labels: Labels): string {
  const values = IDENTIFYING.map((name) => labelValue(labels, name))
  return values.every((value) => value === '') ? '' : values.join('\udc00')
}

/** Undefined where no info series has a sample at the step. Of several of one metric the newest sample counts. */
function enrichedLabels(base: Labels, matches: readonly InfoSeries[], k: number, plan: InfoPlan): Labels | undefined {
  const newest = new Map<string, InfoSeries>()
  for (const info of matches) {
    if (info.column.present[k] === 0) continue
    const name = labelValue(info.column.labels, METRIC_NAME)
    const other = newest.get(name)
    if (other !== undefined && other.times[k] === info.times[k]) {
      throw new SightlineError(
        'execution',
        `found duplicate series for info metric: existing ${labelsKey(other.column.labels)} @ ${other.times[k]}`,
      )
    }
    if (other === undefined || other.times[k]! < info.times[k]!) newest.set(name, info)
  }
  if (newest.size === 0) return undefined
  let labels = base
  const added = new Map<string, string>()
  for (const { column } of newest.values()) {
    for (let i = 0; i < column.labels.length; i += 2) {
      const [name, value] = [column.labels[i]!, column.labels[i + 1]!]
      if (name === METRIC_NAME || labelValue(base, name) !== '') continue
      if (plan.dataMatchers.size > 0 && !plan.dataMatchers.has(name)) continue
      const before = added.get(name)
      if (before !== undefined && before !== value) throw new SightlineError('execution', `conflicting label: ${name}`)
      added.set(name, value)
      labels = labelsWith(labels, name, value)
    }
  }
  return labels
}
