import { describe, expect, test } from 'vitest'
import { QueryGate } from './gate.ts'

const never = new AbortController().signal

describe('the query gate', () => {
  test('lets so many of a tenant run, the others wait their turn', async () => {
    const gate = new QueryGate(() => 2)
    let running = 0
    let most = 0
    const work = async (): Promise<void> => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setTimeout(resolve, 5))
      running--
    }
    await Promise.all(Array.from({ length: 12 }, () => gate.run('t', never, work)))
    expect(most).toBe(2)
  })

  test('refuses when the waiting room is full, of that tenant only', async () => {
    const gate = new QueryGate(() => 1)
    let release = (): void => {}
    const blocked = gate.run('t', never, () => new Promise<void>((resolve) => (release = resolve)))
    const waiting = Array.from({ length: 10 }, () => gate.run('t', never, async () => {}))
    await expect(gate.run('t', never, async () => {})).rejects.toMatchObject({ kind: 'too_many' })
    expect(await gate.run('other', never, async () => 'fine')).toBe('fine')
    release()
    await Promise.all([blocked, ...waiting])
    expect(await gate.run('t', never, async () => 'free again')).toBe('free again')
  })

  test('a query whose client left while it waited does not run', async () => {
    const gate = new QueryGate(() => 1)
    const controller = new AbortController()
    let release = (): void => {}
    const blocked = gate.run('t', never, () => new Promise<void>((resolve) => (release = resolve)))
    const left = gate.run('t', controller.signal, async () => 'ran')
    controller.abort()
    release()
    await blocked
    await expect(left).rejects.toMatchObject({ kind: 'canceled' })
  })

  test('a deadline aborts the work and is told as such', async () => {
    const gate = new QueryGate(() => 1)
    const work = (signal: AbortSignal): Promise<void> =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stopped'))))
    await expect(gate.runWithin('t', never, 10, work)).rejects.toMatchObject({ kind: 'timeout' })
  })
})
