/** absent() and absent_over_time(). */
import { METRIC_NAME, labelsOf, type Labels } from '../../../lib/model/index.ts'
import { unwrapParens, type Expr } from '../ast.ts'
import type { Column, Grid } from '../columns.ts'

/** One column of 1 where no column has a sample. Its labels are what the selector's equality matchers say. */
export function absentColumn(argument: Expr, columns: readonly Pick<Column, 'present'>[], grid: Grid): Column | undefined {
  const present = new Uint8Array(grid.count).fill(1)
  for (const column of columns) for (let k = 0; k < present.length; k++) if (column.present[k] === 1) present[k] = 0
  if (!present.includes(1)) return undefined
  return { labels: labelsOfSelector(argument), values: new Float64Array(grid.count).fill(1), present, dropName: false }
}

/** Labels that have exactly one matcher, an equality. */
function labelsOfSelector(argument: Expr): Labels {
  const inner = unwrapParens(argument)
  const selector = inner.kind === 'matrixSelector' ? inner.selector : inner
  if (selector.kind !== 'vectorSelector') return []
  const values = new Map<string, string>()
  const taken = new Set<string>()
  for (const { name, op, value } of selector.matchers) {
    if (name === METRIC_NAME) continue
    if (op === '=' && !taken.has(name)) values.set(name, value)
    else values.delete(name)
    taken.add(name)
  }
  return labelsOf(values)
}
