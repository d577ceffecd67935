import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assignUnits, type AssignableMember } from './assign.ts'

const member = (id: string, owned: number[] = [], generation = 1): AssignableMember => ({ id, name: id, owned, generation })

/** Rounds until nobody gives anything up any more; fails where a unit is ever with two, or it doesn't end. */
function settle(members: readonly AssignableMember[], unitCount: number): { owned: Map<string, number[]>; rounds: number } {
  let current = members
  for (let rounds = 1; rounds < 10; rounds++) {
    const assigned = assignUnits(current, unitCount)
    const given = [...assigned.values()].flat()
    expect(new Set(given).size).toBe(given.length)
    for (const [id, units] of assigned) {
      for (const other of current) {
        if (other.id !== id && other.owned.some((unit) => units.includes(unit))) throw new Error(`${id} gets what ${other.id} still has`)
      }
    }
    const next = current.map(({ id }) => member(id, assigned.get(id), 1 + rounds))
    if (current.every(({ owned }, i) => owned.every((unit) => next[i]!.owned.includes(unit)))) {
      return { owned: assigned, rounds }
    }
    current = next
  }
  throw new Error('does not end')
}

describe('assignment', () => {
  test('one member gets everything', () => {
    expect([...assignUnits([member('a')], 3)]).toEqual([['a', [0, 1, 2]]])
  })

  test('a member that joins gets its share only in the second round, from those who have more', () => {
    const first = assignUnits([member('a', [0, 1, 2, 3]), member('b')], 4)
    expect(Object.fromEntries(first)).toEqual({ a: [0, 1], b: [] })
    const second = assignUnits([member('a', [0, 1]), member('b')], 4)
    expect(Object.fromEntries(second)).toEqual({ a: [0, 1], b: [2, 3] })
  })

  test('a member that left: the others keep what they have and share the rest', () => {
    expect(Object.fromEntries(assignUnits([member('a', [0, 1]), member('b', [4, 5])], 6))).toEqual({ a: [0, 1, 2], b: [3, 4, 5] })
  })

  test('of two claims the newer generation is right; of two equal ones neither gets it before both gave it up', () => {
    expect(Object.fromEntries(assignUnits([member('a', [0, 1], 3), member('b', [1], 5)], 2))).toEqual({ a: [0], b: [1] })
    expect(Object.fromEntries(assignUnits([member('a', [0, 1], 5), member('b', [1], 5)], 2))).toEqual({ a: [0], b: [] })
  })

  test('whatever members had: it ends within three rounds, balanced, everything given, nothing moved without need', () => {
    const state = fc.record({
      unitCount: fc.integer({ min: 1, max: 40 }),
      owners: fc.array(fc.integer({ min: -1, max: 5 }), { maxLength: 40 }),
    })
    fc.assert(
      fc.property(state, fc.integer({ min: 1, max: 6 }), ({ unitCount, owners }, memberCount) => {
        const members = Array.from({ length: memberCount }, (_, i) => {
          return member(
            `m${i}`,
            [...owners.entries()].filter(([unit, owner]) => owner === i && unit < unitCount).map(([unit]) => unit),
          )
        })
        const { owned, rounds } = settle(members, unitCount)
        expect(rounds).toBeLessThanOrEqual(3)
        const sizes = [...owned.values()].map(({ length }) => length)
        expect(sizes.reduce((a, b) => a + b)).toBe(unitCount)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
        for (const { id, owned: had } of members) {
          const kept = owned.get(id)!.filter((unit) => had.includes(unit)).length
          expect(kept).toBeGreaterThanOrEqual(Math.min(had.length, Math.floor(unitCount / memberCount)))
        }
      }),
    )
  })
})
