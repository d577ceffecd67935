import type { Matcher } from '../../lib/model/index.ts'
import { childrenOf, type AtModifier, type Expr } from './ast.ts'

/** One selector of an expression and how far from the evaluation time it looks. */
export interface SelectorUse {
  readonly matchers: readonly Matcher[]
  /** Ranges of the selector and of the subqueries around it; 0 for an instant selector (its look-back isn't counted). */
  readonly rangeMs: number
  readonly offsetMs: number
  /** Set where an `@` modifier fixes the time, of the selector or of a subquery around it. */
  readonly at?: AtModifier
}

/** Every selector in the expression, outermost first. Duration expressions count as 0. */
export function extractSelectors(expr: Expr): SelectorUse[] {
  const out: SelectorUse[] = []
  collect(expr, { rangeMs: 0, offsetMs: 0 }, out)
  return out
}

function collect(expr: Expr, around: Omit<SelectorUse, 'matchers'>, out: SelectorUse[]): void {
  switch (expr.kind) {
    case 'vectorSelector': {
      const at = expr.at ?? around.at
      const use = { matchers: expr.matchers, rangeMs: around.rangeMs, offsetMs: around.offsetMs + (expr.offset?.ms ?? 0) }
      out.push(at === undefined ? use : { ...use, at })
      return
    }
    case 'matrixSelector':
      return collect(expr.selector, { ...around, rangeMs: around.rangeMs + expr.range.ms }, out)
    case 'subquery': {
      const at = expr.at ?? around.at
      const inner = { rangeMs: around.rangeMs + expr.range.ms, offsetMs: around.offsetMs + (expr.offset?.ms ?? 0) }
      return collect(expr.expr, at === undefined ? inner : { ...inner, at }, out)
    }
    default:
      for (const child of childrenOf(expr)) collect(child, around, out)
  }
}
