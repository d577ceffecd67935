/** Collects what the rounds measured, by figure and subject. */
import type { Split } from '../measure/split.ts'
import { median } from '../measure/statistics.ts'
import type { Figure, Measured } from './row.ts'

interface Rounds {
  readonly whole: number[]
  readonly parts: Map<string, number[]>
}

export class Figures {
  readonly #figures = new Map<string, { what: string; unit: string; better: Figure['better']; rounds: Map<string, Rounds> }>()

  add(what: string, unit: string, better: Figure['better'], subject: string, value: number | Split): void {
    const key = `${what}\n${unit}`
    let figure = this.#figures.get(key)
    if (figure === undefined) this.#figures.set(key, (figure = { what, unit, better, rounds: new Map() }))
    let rounds = figure.rounds.get(subject)
    if (rounds === undefined) figure.rounds.set(subject, (rounds = { whole: [], parts: new Map() }))
    const { whole, parts } = typeof value === 'number' ? { whole: value, parts: {} } : value
    rounds.whole.push(whole)
    for (const [role, part] of Object.entries(parts)) rounds.parts.set(role, [...(rounds.parts.get(role) ?? []), part])
  }

  all(): Figure[] {
    return [...this.#figures.values()].map(({ what, unit, better, rounds }) => ({
      what,
      unit,
      better,
      values: Object.fromEntries([...rounds].map(([subject, of]) => [subject, measured(of)])),
    }))
  }
}

function measured({ whole, parts }: Rounds): Measured {
  const all = { value: median(whole), rounds: whole }
  if (parts.size === 0) return all
  return { ...all, parts: Object.fromEntries([...parts].map(([role, values]) => [role, { value: median(values), rounds: values }])) }
}
