import { RE2JS } from 're2js'
import { SightlineError, messageOf } from '../runtime/errors.ts'
import { expandTemplate } from './template.ts'

export const PATTERN_LENGTH_MAX = 65_536

export interface RegexpOptions {
  /** The whole text must match, and `.` matches a newline: Go's `^(?s:…)$`. */
  readonly anchored?: boolean
}

export interface Regexp {
  readonly pattern: string
  test(text: string): boolean
  /** Groups of the first match, group 0 first, undefined where a group took no part; null without a match. */
  exec(text: string): readonly (string | undefined)[] | null
  /** A Go template (`$1`, `${name}`, `$$`) filled from the first match; null without a match. */
  expand(template: string, text: string): string | null
  /** Every match, in order, replaced by the filled template. */
  replaceAll(text: string, template: string): string
  /** Every match that doesn't overlap the one before, as code-unit offsets; at most `matchesMax`. */
  findAll(text: string, matchesMax: number): readonly { readonly start: number; readonly end: number }[]
  /** Group number by name. */
  readonly groupNames: ReadonlyMap<string, number>
}

/**
 * @throws bad_data with RE2's text where the pattern is invalid or longer than PATTERN_LENGTH_MAX
 */
export function compileRegexp(pattern: string, options: RegexpOptions = {}): Regexp {
  if (pattern.length > PATTERN_LENGTH_MAX) {
    throw new SightlineError(
      'bad_data',
      `error parsing regexp: pattern has ${pattern.length} characters, at most ${PATTERN_LENGTH_MAX} are allowed`,
    )
  }
  const re = compile(options.anchored === true ? `^(?s:${pattern})$` : pattern)
  const groupNames = new Map<string, number>(Object.entries(re.namedGroups()))
  const groupCount = re.groupCount()
  const groupsOf = (matcher: ReturnType<RE2JS['matcher']>): (string | undefined)[] => {
    const groups: (string | undefined)[] = []
    for (let i = 0; i <= groupCount; i++) groups.push(matcher.group(i) ?? undefined)
    return groups
  }
  const exec = (text: string): (string | undefined)[] | null => {
    const matcher = re.matcher(text)
    return matcher.find() ? groupsOf(matcher) : null
  }
  return {
    pattern,
    groupNames,
    exec,
    test: (text) => re.test(text),
    expand(template, text) {
      const groups = exec(text)
      return groups === null ? null : expandTemplate(template, groups, groupNames)
    },
    replaceAll(text, template) {
      const matcher = re.matcher(text)
      let out = ''
      let from = 0
      while (matcher.find()) {
        out += text.slice(from, matcher.start()) + expandTemplate(template, groupsOf(matcher), groupNames)
        from = matcher.end()
      }
      return out + text.slice(from)
    },
    findAll(text, matchesMax) {
      const matcher = re.matcher(text)
      const out: { start: number; end: number }[] = []
      while (out.length < matchesMax && matcher.find()) out.push({ start: matcher.start(), end: matcher.end() })
      return out
    },
  }
}

function compile(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern)
  } catch (error) {
    throw new SightlineError('bad_data', messageOf(error), { cause: error })
  }
}

/** The pattern that matches exactly this text, as Go's `regexp.QuoteMeta`. */
export function quoteRegexp(text: string): string {
  return text.replaceAll(/[\\.+*?()|[\]{}^$]/g, '\\$&')
}
