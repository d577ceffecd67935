/**
 * `relabel_configs` and `metric_relabel_configs`, as Prometheus applies them.
 *
 * Source: the rules of Prometheus' `model/relabel`; no known difference. Patterns are anchored; a rule list is compiled once and applied
 * to many label sets.
 */
import { createHash } from 'node:crypto'
import type { RelabelConfig } from '../config/index.ts'
import { labelsOf, type Labels } from '../model/index.ts'
import { compileRegexp, type Regexp } from '../regexp/index.ts'

export interface Relabeler {
  /** The changed labels, or undefined where a rule dropped them. Labels set to '' are gone. */
  apply(labels: Labels): Labels | undefined
}

interface Rule {
  readonly config: RelabelConfig
  readonly regex: Regexp
}

/** Errors: bad_data where a pattern is none, naming the rule. */
export function createRelabeler(configs: readonly RelabelConfig[]): Relabeler {
  const rules: readonly Rule[] = configs.map((config) => ({ config, regex: compileRegexp(config.regex, { anchored: true }) }))
  return {
    apply(labels) {
      if (rules.length === 0) return labels
      const byName = new Map<string, string>()
      for (let i = 0; i < labels.length; i += 2) byName.set(labels[i]!, labels[i + 1]!)
      for (const rule of rules) if (!applyRule(rule, byName)) return undefined
      return labelsOf(byName)
    },
  }
}

/** False where the labels are dropped. */
function applyRule({ config, regex }: Rule, labels: Map<string, string>): boolean {
  const value = config.source_labels.map((name) => labels.get(name) ?? '').join(config.separator)
  const target = config.target_label ?? ''
  switch (config.action) {
    case 'keep':
      return regex.test(value)
    case 'drop':
      return !regex.test(value)
    case 'keepequal':
      return (labels.get(target) ?? '') === value
    case 'dropequal':
      return (labels.get(target) ?? '') !== value
    case 'replace':
      replace(config, regex, value, labels)
      return true
    case 'lowercase':
      set(labels, target, value.toLowerCase())
      return true
    case 'uppercase':
      set(labels, target, value.toUpperCase())
      return true
    case 'hashmod':
      set(labels, target, String(hashMod(value, config.modulus!)))
      return true
    case 'labelmap':
      for (const [name, old] of Array.from(labels)) {
        const mapped = regex.expand(config.replacement, name)
        if (mapped !== null) set(labels, mapped, old)
      }
      return true
    case 'labeldrop':
      for (const name of Array.from(labels.keys())) if (regex.test(name)) labels.delete(name)
      return true
    case 'labelkeep':
      for (const name of Array.from(labels.keys())) if (!regex.test(name)) labels.delete(name)
      return true
  }
}

function replace(config: RelabelConfig, regex: Regexp, value: string, labels: Map<string, string>): void {
  // The common rule copies a label that matches as a whole: no pattern needs to run.
  if (config.regex === '(.*)' && config.replacement === '$1' && !config.target_label!.includes('$')) {
    return set(labels, config.target_label!, value)
  }
  const target = regex.expand(config.target_label!, value)
  const replacement = regex.expand(config.replacement, value)
  // A value that doesn't match, or a target name that comes out empty, changes nothing.
  if (target === null || replacement === null || target === '') return
  set(labels, target, replacement)
}

function set(labels: Map<string, string>, name: string, value: string): void {
  if (value === '') labels.delete(name)
  else labels.set(name, value)
}

/** The last 8 bytes of the value's MD5, big-endian, modulo: what Prometheus shards by. */
function hashMod(value: string, modulus: number): bigint {
  return createHash('md5').update(value).digest().readBigUInt64BE(8) % BigInt(modulus)
}
