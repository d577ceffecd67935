/**
 * Rule files as Prometheus has them: YAML, strict keys, every expression and template parsed when the file is loaded. A problem names file, group
 * and rule.
 */
import { globSync, readFileSync } from 'node:fs'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { durationMs } from '../lib/config/index.ts'
import { messageOf, SightlineError } from '../lib/runtime/errors.ts'
import { compileAlertTemplate, type AlertTemplate } from './template/index.ts'

const texts = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String)).nullish()

const ruleSchema = z.strictObject({
  record: z.string().optional(),
  alert: z.string().optional(),
  expr: z.union([z.string(), z.number()]).transform(String).optional(),
  for: durationMs.optional(),
  keep_firing_for: durationMs.optional(),
  labels: texts,
  annotations: texts,
})

const fileSchema = z.strictObject({
  groups: z
    .array(
      z.strictObject({
        name: z.string(),
        interval: durationMs.optional(),
        query_offset: durationMs.optional(),
        limit: z.number().int().nonnegative().default(0),
        labels: texts,
        rules: z.array(ruleSchema).nullish(),
      }),
    )
    .nullish(),
})

export interface RuleSpec {
  readonly kind: 'recording' | 'alerting'
  readonly name: string
  /** The expression in PromQL's canonical form. */
  readonly query: string
  readonly forMs: number
  readonly keepFiringForMs: number
  /** The group's, with the rule's over them. For an alert they are templates. */
  readonly labels: ReadonlyMap<string, AlertTemplate>
  readonly annotations: ReadonlyMap<string, AlertTemplate>
}

export interface GroupSpec {
  readonly file: string
  readonly name: string
  readonly intervalMs: number | undefined
  readonly queryOffsetMs: number | undefined
  /** Series or alerts a rule may give; 0 = any number. */
  readonly limit: number
  readonly rules: readonly RuleSpec[]
}

/** Checks an expression and gives its canonical text. Errors: bad_data with what doesn't parse. */
export type ParseExpression = (expression: string) => string

const FILE_BYTES_MAX = 16 * 1024 * 1024

/** The groups of all files that the patterns name. Errors: bad_data with every problem on a line of its own. */
export function loadRuleFiles(patterns: readonly string[], parse: ParseExpression): GroupSpec[] {
  const groups: GroupSpec[] = []
  const problems: string[] = []
  const files = [...new Set(patterns.flatMap((pattern) => (hasWildcard(pattern) ? globSync(pattern).sort() : [pattern])))]
  for (const file of files) {
    try {
      groups.push(...parseRuleFile(readFileSync(file, 'utf8'), file, parse))
    } catch (error) {
      problems.push(error instanceof SightlineError ? error.message : `cannot read rule file ${file}: ${messageOf(error)}`)
    }
  }
  if (problems.length > 0) throw new SightlineError('bad_data', problems.join('\n'))
  return groups
}

function hasWildcard(pattern: string): boolean {
  return /[*?[]/.test(pattern)
}

/** Errors: bad_data with every problem on a line of its own. */
export function parseRuleFile(text: string, file: string, parse: ParseExpression): GroupSpec[] {
  if (text.length > FILE_BYTES_MAX) throw new SightlineError('bad_data', `${file}: larger than ${FILE_BYTES_MAX} bytes`)
  const document = parseDocument(text, { prettyErrors: true })
  if (document.errors.length > 0) {
    throw new SightlineError('bad_data', document.errors.map((error) => `${file}: ${error.message.split('\n')[0]}`).join('\n'))
  }
  const parsed = fileSchema.safeParse(document.toJS() ?? {})
  if (!parsed.success) {
    const lines = parsed.error.issues.flatMap((issue) => {
      const at = issue.path
        .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
        .join('')
        .replace(/^\./, '')
      return issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => `${file}: ${at === '' ? '' : `${at}.`}${key}: unknown key`)
        : [`${file}: ${at}: ${issue.message}`]
    })
    throw new SightlineError('bad_data', lines.join('\n'))
  }
  const problems: string[] = []
  const names = new Set<string>()
  const groups = (parsed.data.groups ?? []).map((group): GroupSpec => {
    if (group.name === '') problems.push(`${file}: Groupname must not be empty`)
    if (names.has(group.name)) problems.push(`${file}: groupname: "${group.name}" is repeated in the same file`)
    names.add(group.name)
    const rules = (group.rules ?? []).flatMap((rule, i) => {
      const where = `${file}: group "${group.name}", rule ${i + 1}, "${rule.alert ?? rule.record ?? ''}"`
      const found = problemsOf(rule)
      if (found.length === 0) {
        try {
          return [specOf(rule, group.labels ?? {}, parse)]
        } catch (error) {
          found.push(messageOf(error))
        }
      }
      problems.push(...found.map((problem) => `${where}: ${problem}`))
      return []
    })
    return { file, name: group.name, intervalMs: group.interval, queryOffsetMs: group.query_offset, limit: group.limit, rules }
  })
  if (problems.length > 0) throw new SightlineError('bad_data', problems.join('\n'))
  return groups
}

type RawRule = z.output<typeof ruleSchema>

function problemsOf(rule: RawRule): string[] {
  const problems: string[] = []
  const isRecording = (rule.record ?? '') !== ''
  const isAlert = (rule.alert ?? '') !== ''
  if (isRecording && isAlert) problems.push("only one of 'record' and 'alert' must be set")
  if (!isRecording && !isAlert) problems.push("one of 'record' or 'alert' must be set")
  if ((rule.expr ?? '') === '') problems.push("field 'expr' must be set in rule")
  if (isRecording) {
    if (Object.keys(rule.annotations ?? {}).length > 0) problems.push("invalid field 'annotations' in recording rule")
    if ((rule.for ?? 0) > 0) problems.push("invalid field 'for' in recording rule")
    if ((rule.keep_firing_for ?? 0) > 0) problems.push("invalid field 'keep_firing_for' in recording rule")
    if (/[{}]/.test(rule.record ?? '')) problems.push(`braces present in the recording rule name; should it be in expr?: ${rule.record}`)
  }
  for (const name of Object.keys(rule.labels ?? {})) if (name === '__name__' || name === '') problems.push(`invalid label name: ${name}`)
  for (const name of Object.keys(rule.annotations ?? {})) if (name === '') problems.push('invalid annotation name: ""')
  return problems
}

function specOf(rule: RawRule, groupLabels: Record<string, string>, parse: ParseExpression): RuleSpec {
  const kind = rule.alert === undefined || rule.alert === '' ? 'recording' : 'alerting'
  const name = (kind === 'alerting' ? rule.alert : rule.record)!
  const compile = (text: string): AlertTemplate =>
    kind === 'alerting' ? compileAlertTemplate(text, name) : { text, expand: () => Promise.resolve(text) }
  const compiled = (record: Record<string, string>): Map<string, AlertTemplate> =>
    new Map(
      Object.entries(record)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, text]) => [key, compile(text)]),
    )
  return {
    kind,
    name,
    query: parse(rule.expr!),
    forMs: rule.for ?? 0,
    keepFiringForMs: rule.keep_firing_for ?? 0,
    labels: compiled({ ...groupLabels, ...rule.labels }),
    annotations: compiled(rule.annotations ?? {}),
  }
}

/** What a rule is, for keeping its state over a reload and a restart: equal keys, same rule. */
export function ruleKey(rule: RuleSpec): string {
  return JSON.stringify([rule.kind, rule.name, [...rule.labels].map(([name, { text }]) => [name, text])])
}

/** Everything a group is: equal texts, same group. */
export function groupText(group: GroupSpec): string {
  const plain = (map: ReadonlyMap<string, AlertTemplate>): unknown => [...map].map(([name, { text }]) => [name, text])
  return JSON.stringify([group, group.rules.map((rule) => [plain(rule.labels), plain(rule.annotations)])])
}
