/** Collects what the rounds measured, by figure and subject. */
import { median } from '../measure/statistics.ts'
import type { Figure } from './row.ts'

export class Figures {
  readonly #figures = new Map<string, { what: string; unit: string; better: Figure['better']; rounds: Map<string, number[]> }>()

  add(what: string, unit: string, better: Figure['better'], subject: string, value: number): void {
    const key = `${what}\n${unit}`
    let figure = this.#figures.get(key)
    if (figure === undefined) this.#figures.set(key, (figure = { what, unit, better, rounds: new Map() }))
    const rounds = figure.rounds.get(subject)
    if (rounds === undefined) figure.rounds.set(subject, [value])
    else rounds.push(value)
  }

  all(): Figure[] {
    return [...this.#figures.values()].map(({ what, unit, better, rounds }) => ({
      what,
      unit,
      better,
      values: Object.fromEntries([...rounds].map(([subject, values]) => [subject, { value: median(values), rounds: values }])),
    }))
  }
}
