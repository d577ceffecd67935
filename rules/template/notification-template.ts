/** Templates of notifications: a set of named ones from files beside ours, and texts of the configuration that may use them. */
import { messageOf, SightlineError } from '../../lib/runtime/errors.ts'
import type { Node } from './ast.ts'
import { executeTemplate } from './execute.ts'
import { notificationFunctions } from './functions.ts'
import { parseTemplate } from './parser.ts'

const LIMITS = { outputCharsMax: 512 * 1024, stepsMax: 500_000 }
const FUNCTIONS = notificationFunctions()

export class NotificationTemplates {
  readonly #named = new Map<string, readonly Node[]>()

  /** Adds the templates that a file defines; a later one of the same name wins. Errors: bad_data with file and line. */
  add(text: string, file: string): void {
    try {
      for (const [name, body] of parseTemplate(text, (fn) => FUNCTIONS.has(fn)).defined) this.#named.set(name, body)
    } catch (error) {
      throw new SightlineError('bad_data', `cannot parse template file ${file}: ${messageOf(error)}`)
    }
  }

  /** Errors: bad_data where the text doesn't parse. */
  check(text: string): void {
    if (text.includes('{{')) parseTemplate(text, (fn) => FUNCTIONS.has(fn))
  }

  /** Errors: bad_data where the text doesn't parse or fails. */
  expand(text: string, data: unknown): string {
    if (!text.includes('{{')) return text
    const parsed = parseTemplate(text, (fn) => FUNCTIONS.has(fn))
    return executeTemplate(parsed, (name) => parsed.defined.get(name) ?? this.#named.get(name), data, FUNCTIONS, LIMITS)
  }
}
