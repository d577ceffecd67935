/**
 * Templates of labels and annotations. Source: Prometheus' `template.Expand` and `rules/alerting.go`; the texts of errors keep its frame
 * ("<error expanding template: …>"), not its positions. Numbers have one type here: `printf "%d" $value` prints a whole number, where Go refuses.
 */
import { messageOf, SightlineError } from '../../lib/runtime/errors.ts'
import type { ParsedTemplate } from './ast.ts'
import { executeTemplate } from './execute.ts'
import { alertFunctions, type TemplateSample } from './functions.ts'
import { parseTemplate } from './parser.ts'

const PRELUDE = '{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}'
const LIMITS = { outputCharsMax: 256 * 1024, stepsMax: 100_000 }
/** Different queries one template may make. */
const QUERIES_MAX = 20

export interface AlertTemplateData {
  readonly labels: ReadonlyMap<string, string>
  readonly externalLabels: ReadonlyMap<string, string>
  readonly externalUrl: string
  readonly value: number
  readonly nowMs: number
}

export interface AlertTemplate {
  readonly text: string
  /** Never throws: a failure is the text that says so. */
  expand(data: AlertTemplateData, query: (expression: string) => Promise<readonly TemplateSample[]>): Promise<string>
}

const KNOWN = new Set(alertFunctions({ query: () => [], externalUrl: '', nowMs: 0 }).keys())

/** Errors: bad_data where the text doesn't parse. Text without `{{` is kept as it is. */
export function compileAlertTemplate(text: string, name: string): AlertTemplate {
  if (!text.includes('{{')) return { text, expand: () => Promise.resolve(text) }
  const parsed = parse(text, name)
  return {
    text,
    async expand(data, query) {
      try {
        return await execute(parsed, data, query)
      } catch (error) {
        return `<error expanding template: error executing template __alert_${name}: ${messageOf(error)}>`
      }
    },
  }
}

function parse(text: string, name: string): ParsedTemplate {
  try {
    return parseTemplate(PRELUDE + text, (fn) => KNOWN.has(fn))
  } catch (error) {
    throw new SightlineError('bad_data', `error parsing template __alert_${name}: template: __alert_${name}:${messageOf(error)}`)
  }
}

/** A query that isn't answered yet. Templates have no effects, so it is asked and the template runs again from its start. */
class Unanswered extends Error {
  readonly expression: string

  constructor(expression: string) {
    super(`unanswered query ${expression}`)
    this.expression = expression
  }
}

async function execute(
  parsed: ParsedTemplate,
  data: AlertTemplateData,
  query: (expression: string) => Promise<readonly TemplateSample[]>,
): Promise<string> {
  const answers = new Map<string, readonly TemplateSample[]>()
  const functions = alertFunctions({
    query: (expression) => {
      const answer = answers.get(expression)
      if (answer === undefined) throw new Unanswered(expression)
      return answer
    },
    externalUrl: data.externalUrl,
    nowMs: data.nowMs,
  })
  const dot = { Labels: data.labels, ExternalLabels: data.externalLabels, ExternalURL: data.externalUrl, Value: data.value }
  for (;;) {
    try {
      return executeTemplate(parsed, (name) => parsed.defined.get(name), dot, functions, LIMITS)
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error
      if (answers.size >= QUERIES_MAX) throw new SightlineError('bad_data', `more than ${QUERIES_MAX} queries in one template`)
      answers.set(error.expression, await query(error.expression))
    }
  }
}
