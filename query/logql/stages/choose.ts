/** `| drop` and `| keep`: labels by name, or by name and value. Labels whose names start with two underscores stay with `keep`, the error's aside. */
import { compileMatcher } from '../../../lib/regexp/index.ts'
import type { LabelChoice } from '../ast.ts'
import { ERROR_DETAILS_LABEL, ERROR_LABEL } from './entry.ts'
import type { LineStage } from './stage.ts'

function compile(labels: readonly LabelChoice[]): { name: string; matches: (value: string) => boolean }[] {
  return labels.map(({ name, matcher }) => {
    const compiled = matcher === undefined ? undefined : compileMatcher(matcher)
    return { name, matches: (value: string) => compiled === undefined || compiled.matches(value) }
  })
}

export function dropStage(labels: readonly LabelChoice[]): LineStage {
  const choices = compile(labels)
  return {
    reads: 'labels',
    process(entry) {
      for (const { name, matches } of choices) {
        const value = entry.get(name)
        if (value !== undefined && matches(value)) entry.delete(name)
      }
      return true
    },
  }
}

export function keepStage(labels: readonly LabelChoice[]): LineStage {
  const choices = compile(labels)
  const special = new Set([ERROR_LABEL, ERROR_DETAILS_LABEL])
  return {
    reads: 'labels',
    process(entry) {
      entry.retain((name, value) => special.has(name) || choices.some((choice) => choice.name === name && choice.matches(value)))
      return true
    },
  }
}
