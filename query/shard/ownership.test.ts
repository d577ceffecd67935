import { describe, expect, test } from 'vitest'
import type { Mark } from '../../lib/journal/index.ts'
import type { Manifest } from './manifest.ts'
import { encodeMark, type MarkState } from './mark.ts'
import { takeOver } from './ownership.ts'

const ledger = { records: 0, items: 0, stored: 0, repeatedRecords: 0, repeatedItems: 0, gaps: 0, dropped: {} }
const manifest = (offset: number, since = 0): Manifest => ({
  journal: 'j',
  offset,
  producers: [],
  files: [],
  state: undefined,
  ledger,
  since,
  owners: [],
})
const markOf = (node: string, offset: number, state: Partial<MarkState> = {}): Mark => ({
  node,
  offset,
  state: encodeMark({ since: 0, learnFrom: 0, producers: [], owners: [], ...state }),
})

describe('where a node goes on with a partition', () => {
  test('nobody had it: from its beginning', () => {
    expect(takeOver('a', undefined, undefined, undefined)).toMatchObject({ offset: 0, readFrom: 0, since: 0, owners: [] })
  })

  test('it had it itself: from its own files, a candidate that nobody answered for included', () => {
    expect(takeOver('a', markOf('a', 50), manifest(50), undefined)).toMatchObject({ offset: 50, readFrom: 50, producers: undefined })
    expect(takeOver('a', markOf('a', 50), manifest(50), manifest(70))).toMatchObject({ candidate: 'accept', offset: 70 })
    expect(takeOver('a', undefined, undefined, manifest(20))).toMatchObject({ candidate: 'accept', offset: 20 })
  })

  test('its folder is gone: again from where its part begins, not from what another has', () => {
    const mark = markOf('a', 900, { since: 500, owners: [{ node: 'b', from: 0, to: 500 }] })
    expect(takeOver('a', mark, undefined, undefined)).toMatchObject({ offset: 500, since: 500, producers: [] })
    expect(takeOver('a', mark, manifest(100), undefined)).toMatchObject({ offset: 500, since: 500 })
    expect(takeOver('a', mark, manifest(700, 500), undefined)).toMatchObject({ offset: 700, producers: undefined })
  })

  test('another had it: from its mark, with what it knew, and layouts from before', () => {
    const producers = [{ producer: 'p', epoch: 'e', sequence: 9 }]
    const plan = takeOver('a', markOf('b', 80, { since: 30, learnFrom: 60, producers }), manifest(30), undefined)
    expect(plan).toEqual({
      candidate: 'drop',
      offset: 80,
      readFrom: 60,
      learnFrom: 60,
      since: 80,
      owners: [{ node: 'b', from: 30, to: 80 }],
      producers,
    })
  })

  test("another had it since: our candidate is ours only where that node's history says so", () => {
    const accepted = markOf('b', 80, { since: 40, owners: [{ node: 'a', from: 0, to: 40 }] })
    expect(takeOver('a', accepted, manifest(30), manifest(40)).candidate).toBe('accept')
    const refused = markOf('b', 80, { since: 30, owners: [{ node: 'a', from: 0, to: 30 }] })
    expect(takeOver('a', refused, manifest(30), manifest(40)).candidate).toBe('drop')
  })

  test('a mark with more producers than fit keeps the latest', () => {
    const producers = Array.from({ length: 20_000 }, (_, i) => ({ producer: `producer-${i}`, epoch: 'e'.repeat(32), sequence: i }))
    const { state } = markOf('b', 80, { producers })
    expect(state.length).toBeLessThanOrEqual(512 * 1024)
    const kept = takeOver('a', { node: 'b', offset: 80, state }, undefined, undefined).producers!
    expect(kept.length).toBeGreaterThan(3000)
    expect(kept.at(-1)).toEqual(producers.at(-1))
  })

  test('a mark of an unknown version is refused by name', () => {
    const mark: Mark = { node: 'b', offset: 5, state: new Uint8Array(Buffer.from('{"v":7}')) }
    expect(() => takeOver('a', mark, undefined, undefined)).toThrow('cannot read the mark at offset 5 of node "b": its version is unknown')
  })
})
