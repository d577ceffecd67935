/**
 * Label sets as one flat array: name, value, name, value, … with names ascending and no empty values.
 *
 *   ['__name__', 'up', 'instance', '127.0.0.1:9100', 'job', 'node']
 *
 * One array a series instead of one object: two label sets are equal when their arrays are, a join is their key,
 * and a walk allocates nothing. Names are ordered by UTF-16 code units, which is Prometheus' byte order for every
 * character below U+E000.
 */
export type Labels = readonly string[]

export const EMPTY_LABELS: Labels = []
export const METRIC_NAME = '__name__'

/** A lone surrogate: decoded UTF-8 never holds one, so joined labels can't collide. */
const SEPARATOR = '\udc00'

/**
 * The label set of some pairs, in any order.
 *
 * @param pairs name and value; a later value of the same name wins, empty values are left out (absent and empty are the same)
 */
export function labelsOf(pairs: Readonly<Record<string, string>> | Iterable<readonly [string, string]>): Labels {
  const entries = Symbol.iterator in pairs ? [...(pairs as Iterable<readonly [string, string]>)] : Object.entries(pairs)
  const byName = new Map<string, string>()
  for (const [name, value] of entries) byName.set(name, value)
  const names = [...byName.keys()].filter((name) => byName.get(name) !== '').sort(compareText)
  const out: string[] = []
  for (const name of names) out.push(name, byName.get(name)!)
  return out
}

/** The value of one label, '' where it is absent. Cost: linear, label sets are short. */
export function labelValue(labels: Labels, name: string): string {
  for (let i = 0; i < labels.length; i += 2) if (labels[i] === name) return labels[i + 1]!
  return ''
}

export function hasLabel(labels: Labels, name: string): boolean {
  for (let i = 0; i < labels.length; i += 2) if (labels[i] === name) return true
  return false
}

/** A string that is equal for equal label sets only. */
export function labelsKey(labels: Labels): string {
  return labels.join(SEPARATOR)
}

export function labelsEqual(a: Labels, b: Labels): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Order of label sets as Prometheus sorts results: pair by pair, then the shorter first. */
export function compareLabels(a: Labels, b: Labels): number {
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    const order = compareText(a[i]!, b[i]!)
    if (order !== 0) return order
  }
  return a.length - b.length
}

/** The labels but for the named ones. */
export function labelsWithout(labels: Labels, names: ReadonlySet<string>): Labels {
  const out: string[] = []
  for (let i = 0; i < labels.length; i += 2) if (!names.has(labels[i]!)) out.push(labels[i]!, labels[i + 1]!)
  return out.length === labels.length ? labels : out
}

/** The named labels only; absent ones stay absent. */
export function labelsKeep(labels: Labels, names: ReadonlySet<string>): Labels {
  const out: string[] = []
  for (let i = 0; i < labels.length; i += 2) if (names.has(labels[i]!)) out.push(labels[i]!, labels[i + 1]!)
  return out
}

/** The labels with one set, or removed where `value` is ''. */
export function labelsWith(labels: Labels, name: string, value: string): Labels {
  const out: string[] = []
  let done = value === ''
  for (let i = 0; i < labels.length; i += 2) {
    if (labels[i] === name) continue
    if (!done && compareText(name, labels[i]!) < 0) {
      out.push(name, value)
      done = true
    }
    out.push(labels[i]!, labels[i + 1]!)
  }
  if (!done) out.push(name, value)
  return out
}

export function labelsToObject(labels: Labels): Record<string, string> {
  const out: Record<string, string> = {}
  for (let i = 0; i < labels.length; i += 2) out[labels[i]!] = labels[i + 1]!
  return out
}

/** `{a="1", b="2"}` with the metric name before the brace, as Prometheus prints a series. */
export function formatLabels(labels: Labels): string {
  const parts: string[] = []
  for (let i = 0; i < labels.length; i += 2) {
    if (labels[i] !== METRIC_NAME) parts.push(`${labels[i]}=${JSON.stringify(labels[i + 1])}`)
  }
  const name = labelValue(labels, METRIC_NAME)
  return parts.length === 0 && name !== '' ? name : `${name}{${parts.join(', ')}}`
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
