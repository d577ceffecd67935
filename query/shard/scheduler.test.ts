import { describe, expect, test } from 'vitest'
import type { Task } from '../store/index.ts'
import { Scheduler } from './scheduler.ts'

/** A task of so many slices that notes each in `log`; every slice takes at least `sliceMs`. */
function* work(name: string, slices: number, log: string[], sliceMs = 0): Task<string> {
  for (let i = 0; i < slices; i++) {
    const end = performance.now() + sliceMs
    while (performance.now() < end);
    log.push(name)
    yield
  }
  return name
}

describe('the scheduler', () => {
  test('a small query waits for slices of a large one, not for its end', async () => {
    const scheduler = new Scheduler()
    const log: string[] = []
    const large = scheduler.run(work('large', 20, log, 6))
    const small = scheduler.run(work('small', 1, log))
    expect(await small).toBe('small')
    expect(log.filter((name) => name === 'large').length).toBeLessThan(5)
    expect(await large).toBe('large')
  })

  test('the event loop runs between two slices', async () => {
    const scheduler = new Scheduler()
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    await scheduler.run(work('q', 10, [], 6))
    clearInterval(timer)
    expect(turns).toBeGreaterThan(5)
  })

  test('background work yields to queries and still goes on', async () => {
    const scheduler = new Scheduler()
    const log: string[] = []
    const background = scheduler.runInBackground(work('background', 3, log, 6))
    await scheduler.run(work('query', 15, log, 6))
    expect(log.filter((name) => name === 'background').length).toBeLessThan(3)
    expect(await background).toBe('background')
  })

  test('an aborted query ends with canceled, and its task is closed', async () => {
    const scheduler = new Scheduler()
    const controller = new AbortController()
    let isClosed = false
    function* endless(): Task<void> {
      try {
        for (;;) yield
      } finally {
        isClosed = true
      }
    }
    const run = scheduler.run(endless(), controller.signal)
    setTimeout(() => controller.abort(), 10)
    await expect(run).rejects.toMatchObject({ kind: 'canceled' })
    expect(isClosed).toBe(true)
  })

  test('an error of one task is its own', async () => {
    const scheduler = new Scheduler()
    function* failing(): Task<void> {
      yield
      throw new Error('boom')
    }
    const failed = scheduler.run(failing())
    const fine = scheduler.run(work('fine', 2, []))
    await expect(failed).rejects.toThrow('boom')
    expect(await fine).toBe('fine')
  })
})
